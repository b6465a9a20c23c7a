import {
  create,
  fromJson,
  toJson,
  type DescMessage,
  type JsonValue,
  type MessageShape,
} from '@bufbuild/protobuf';
import {
  BuildEmulatorResultSchema,
  CalibrateResultSchema,
  CorrectResultSchema,
  Ending,
  MergeResultSchema,
  RefineResultSchema,
  StoredObjectSchema,
  TrainResultSchema,
  TuneOptionsSchema,
  TuneReportSchema,
  ValidationLossesSchema,
  type BuildEmulatorResult,
  type CalibrateResult,
  type CorrectResult,
  type MergeResult,
  type RefineResult,
  type StageReport,
  type StoredObject,
  type TrainResult,
} from '@emloc/contracts';
import { bucketNames } from '@emloc/job-storage';
import { endingOf } from '@emloc/pipeline/stages';
import { RpcError } from '@emloc/rpc';

import type { ArtifactRecord, JobRecord, StageName } from '../jobs/record.js';
import { attemptsOf } from '../jobs/transitions.js';
import { courseOf } from './course.js';
import type { StageRequest } from './stage-services.js';

/** Results of a job's stages; undefined where a stage has not finished or does not run. */
interface StageResults {
  readonly calibrate?: CalibrateResult;
  readonly emulate?: BuildEmulatorResult;
  readonly train?: TrainResult;
  readonly correct?: CorrectResult;
  readonly refine?: RefineResult;
  readonly merge?: MergeResult;
}

function resultsOf({ stages }: Pick<JobRecord, 'stages'>): StageResults {
  const read = <S extends DescMessage>(
    stage: StageName,
    schema: S,
  ): MessageShape<S> | undefined => {
    const result = stages[stage]?.result ?? null;
    return result === null ? undefined : fromJson(schema, result);
  };
  return {
    calibrate: read('calibrate', CalibrateResultSchema),
    emulate: read('emulate', BuildEmulatorResultSchema),
    train: read('train', TrainResultSchema),
    correct: read('correct', CorrectResultSchema),
    refine: read('refine', RefineResultSchema),
    merge: read('merge', MergeResultSchema),
  };
}

/**
 * What the newest start of a stage is called with.
 * @throws RpcError DATA_LOSS when an earlier stage's result lacks what this one needs
 */
export function requestOf(stage: StageName, record: JobRecord): StageRequest {
  const { bucket, key, revision } = record.spec;
  const call = {
    job: `jobs/${record.id}`,
    attempt: attemptsOf(record, stage),
    fencingToken: BigInt(record.token),
    spec: { bucket, key, revision: BigInt(revision) },
  };
  const { train, correct } = resultsOf(record);
  switch (stage) {
    case 'calibrate':
    case 'emulate':
    case 'train':
      return { call };
    case 'correct':
      return { call, adapter: needed(train?.adapter, 'train') };
    case 'refine':
      return {
        call,
        adapter: needed(correct?.adapter, 'correct'),
        loss: chosenLoss(needed(correct, 'correct')),
        ...(hasLevels(record) && { trained: needed(train?.adapter, 'train') }),
      };
    case 'merge':
      return { call, adapter: mergedAdapter(record), merge: record.merge };
  }
}

/** Whether refinement is the last level of a job, which goes on with training's optimizer. */
function hasLevels({ options }: JobRecord): boolean {
  return fromJson(TuneOptionsSchema, options).levels !== undefined;
}

/** The adapters of a job in their stored form: the result, and as training left it. */
export function adaptersOf(record: JobRecord): {
  readonly adapter: StoredObject;
  readonly uncorrected: StoredObject;
} {
  const { train, correct, refine } = resultsOf(record);
  const uncorrected = needed(train?.adapter, 'train');
  return { uncorrected, adapter: refine?.adapter ?? correct?.adapter ?? uncorrected };
}

/** Lines of a job's log that its training stages have stored. */
export function logsOf(
  record: JobRecord,
): Readonly<Record<'train' | 'refine', StoredObject | undefined>> {
  const { train, refine } = resultsOf(record);
  return { train: train?.log, refine: refine?.log };
}

/** Files of a merged checkpoint as the corrector has stored them, under `JOB/`. */
export function mergedArtifacts(
  job: string,
  result: JsonValue,
  createTime: string,
): readonly ArtifactRecord[] {
  return fromJson(MergeResultSchema, result).files.flatMap(({ object }) => {
    if (!object?.name.startsWith(`${job}/`)) return [];
    return [
      {
        path: object.name.slice(job.length + 1),
        sizeBytes: Number(object.sizeBytes),
        sha256: object.sha256,
        createTime,
      },
    ];
  });
}

/** The outcome as `emloc tune` reports it. */
export function tuneReport(record: JobRecord): JsonValue {
  const results = resultsOf(record);
  const { calibrate, emulate, train, correct, refine, merge } = results;
  const stages = [calibrate, emulate, train, correct, refine, merge].flatMap((result) =>
    result?.report ? [result.report] : [],
  );
  return toJson(
    TuneReportSchema,
    create(TuneReportSchema, {
      budgetBytes: BigInt(record.outcome?.budgetBytes ?? 0),
      peakDeviceBytes: stages.reduce(
        (peak, { peakDeviceBytes }: StageReport) =>
          peakDeviceBytes > peak ? peakDeviceBytes : peak,
        0n,
      ),
      stages,
      validation: validationLosses({ train, correct, refine }),
      correction: correct?.correction,
      emulator: emulate?.emulator,
      train: train?.train,
      refinement: refine?.refinement,
      ending: endingNumber(results),
    }),
  );
}

function validationLosses({ train, correct, refine }: StageResults) {
  if (!train) return undefined;
  if (!correct)
    return create(ValidationLossesSchema, { base: train.lossBefore, uncorrected: train.lossAfter });
  const { none = Number.NaN, ...corrected } = correct.correction?.scores ?? {};
  const losses = Object.values(corrected).filter((loss) => Number.isFinite(loss));
  return create(ValidationLossesSchema, {
    base: correct.baseLoss,
    emulator: train.lossBefore,
    emulatorTuned: train.lossAfter,
    uncorrected: none,
    corrected: losses.length > 0 ? Math.min(...losses) : undefined,
    refined: refine?.loss,
  });
}

const endings: Readonly<Record<ReturnType<typeof endingOf>, Ending>> = Object.freeze({
  sound: Ending.SOUND,
  worse: Ending.WORSE,
  diverged: Ending.DIVERGED,
});

function endingNumber({ train, correct, refine }: StageResults): Ending {
  const course = courseOf(train?.train?.course);
  const ending = correct
    ? endingOf(course, {
        base: correct.baseLoss,
        final: refine?.refinement?.kept ? refine.loss : chosenLoss(correct),
      })
    : endingOf(course, {
        base: train?.lossBefore ?? Number.NaN,
        final: train?.lossAfter ?? Number.NaN,
      });
  return endings[ending];
}

function chosenLoss({ correction }: CorrectResult): number {
  return correction?.scores[correction.chosen] ?? Number.POSITIVE_INFINITY;
}

/** Names of the weights of adapters in PEFT's layout and in that of diffusers. */
const adapterNames: readonly string[] = [
  'adapter_model.safetensors',
  'pytorch_lora_weights.safetensors',
];

/** The adapter among the artifacts; what else belongs to it lies beside it. */
function mergedAdapter({ id, artifacts }: JobRecord): StoredObject {
  const { path, sizeBytes, sha256 } = needed(
    artifacts.find((artifact) => adapterNames.includes(artifact.path)),
    'outcome',
  );
  return create(StoredObjectSchema, {
    bucket: bucketNames.artifacts,
    name: `${id}/${path}`,
    sizeBytes: BigInt(sizeBytes),
    sha256,
  });
}

function needed<T>(value: T | undefined, stage: string): T {
  if (value === undefined)
    throw new RpcError('DATA_LOSS', `the result of ${stage} lacks what the next stage needs`, {
      reason: 'STAGE_RESULT_INCOMPLETE',
      metadata: { stage },
    });
  return value;
}
