import { create, fromJson, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  Artifact_Kind,
  ArtifactSchema,
  JobSchema,
  MergeOptionsSchema,
  Job_ModelKind as ModelKind,
  Stage,
  TuneOptionsSchema,
  TuneReportSchema,
  type Artifact,
  type Job,
} from '@emloc/contracts';

import { artifactName } from '../resource-names.js';
import { fromStatusJson, stageEnum, stateEnum } from './events.js';
import type { ArtifactRecord, JobRecord } from './record.js';

const modelKinds = Object.freeze({ text: ModelKind.TEXT, pictures: ModelKind.PICTURES });

/** A job as its tenant sees it. */
export function toJobMessage(record: JobRecord, lastEventSequence = record.lastEventSequence): Job {
  const { options, merge, error, report, startTime, endTime } = record;
  const optional: MessageInitShape<typeof JobSchema> = {
    ...(merge === null ? {} : { merge: fromJson(MergeOptionsSchema, merge) }),
    ...(error === null ? {} : { error: fromStatusJson(error) }),
    ...(report === null ? {} : { report: fromJson(TuneReportSchema, report) }),
    ...(startTime === null ? {} : { startTime: timestampFromDate(new Date(startTime)) }),
    ...(endTime === null ? {} : { endTime: timestampFromDate(new Date(endTime)) }),
  };
  return create(JobSchema, {
    name: `jobs/${record.id}`,
    displayName: record.displayName,
    options: fromJson(TuneOptionsSchema, options),
    state: stateEnum(record.state),
    stage: record.stage === null ? Stage.UNSPECIFIED : stageEnum(record.stage),
    createTime: timestampFromDate(new Date(record.createTime)),
    updateTime: timestampFromDate(new Date(record.updateTime)),
    retries: record.retries,
    lastEventSequence: BigInt(lastEventSequence),
    modelKind: record.modelKind ? modelKinds[record.modelKind] : ModelKind.UNSPECIFIED,
    ...optional,
  });
}

export function toArtifactMessage(
  job: string,
  { path, sizeBytes, sha256, createTime }: ArtifactRecord,
): Artifact {
  return create(ArtifactSchema, {
    name: artifactName(job, path),
    kind: kindOf(path),
    path,
    sizeBytes: BigInt(sizeBytes),
    sha256,
    createTime: timestampFromDate(new Date(createTime)),
  });
}

function kindOf(path: string): Artifact_Kind {
  if (path.startsWith('merged/')) return Artifact_Kind.MERGED_CHECKPOINT;
  if (path.startsWith('uncorrected/')) return Artifact_Kind.UNCORRECTED_ADAPTER;
  return path === 'emloc.json' ? Artifact_Kind.REPORT : Artifact_Kind.ADAPTER;
}
