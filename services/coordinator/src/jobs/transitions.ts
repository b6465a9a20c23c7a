import type { JsonValue } from '@bufbuild/protobuf';

import { artifactName } from '../resource-names.js';
import { stageChanged, stateChanged, toEventJson, type EventContent } from './events.js';
import {
  isFinal,
  stageNames,
  type ArtifactRecord,
  type JobRecord,
  type StageName,
} from './record.js';

/** A change of a job's record. Returns the record itself where it does not apply any more. */
export type Transition = (record: JobRecord, now: Date) => JobRecord;

/** What is known of a job when it is made. */
export type NewJob = Pick<
  JobRecord,
  | 'id'
  | 'tenant'
  | 'requestHash'
  | 'displayName'
  | 'options'
  | 'merge'
  | 'isEmulated'
  | 'modelKind'
  | 'spec'
>;

export function newJobRecord(job: NewJob, createTime: Date): JobRecord {
  const time = createTime.toISOString();
  const record: JobRecord = {
    ...job,
    fence: 0,
    state: 'QUEUED',
    stage: null,
    error: null,
    report: null,
    createTime: time,
    startTime: null,
    endTime: null,
    updateTime: time,
    retries: 0,
    token: 0,
    stages: {},
    artifacts: [],
    outcome: null,
    transitions: 0,
    outbox: [],
    lastEventSequence: 0,
    settled: false,
  };
  return withEvents(record, createTime, [stateChanged('QUEUED', null)]);
}

/** Asked for by the tenant: everything else about it is the leader's. */
export const requestCancel: Transition = (record, now) => {
  if (record.state !== 'QUEUED' && record.state !== 'RUNNING') return record;
  return withEvents({ ...record, state: 'CANCELLING' }, now, [stateChanged('CANCELLING', null)]);
};

export const startJob: Transition = (record, now) => {
  if (record.state !== 'QUEUED') return record;
  return withEvents({ ...record, state: 'RUNNING', startTime: now.toISOString() }, now, [
    stateChanged('RUNNING', null),
  ]);
};

/** A stage gets its next attempt and fencing token. */
export function startStage(stage: StageName): Transition {
  return (record, now) => {
    if (record.state !== 'RUNNING') return record;
    const attempt = attemptsOf(record, stage) + 1;
    const stages = {
      ...record.stages,
      [stage]: { attempts: attempt, result: record.stages[stage]?.result ?? null },
    };
    return withEvents(
      { ...record, token: record.token + 1, stages, stage: furthest(record.stage, stage) },
      now,
      [stageChanged(stage, 'STARTED', { attempt })],
    );
  };
}

/** Tells that a call of a stage is made again: of one of its replicas, within an attempt. */
export function retryStage(stage: StageName, error: JsonValue): Transition {
  return (record, now) => {
    if (record.state !== 'RUNNING') return record;
    return withEvents({ ...record, retries: record.retries + 1 }, now, [
      stageChanged(stage, 'RETRYING', { attempt: attemptsOf(record, stage), error }),
    ]);
  };
}

/** Tells, once, that an attempt at a stage has ended without a result and another follows. */
export function retryAttempt(stage: StageName, error: JsonValue): Transition {
  return (record, now) => {
    const attempts = attemptsOf(record, stage);
    const state = record.stages[stage];
    if (!state || state.result || attempts === 0 || state.retried === attempts) return record;
    return retryStage(stage, error)(
      { ...record, stages: { ...record.stages, [stage]: { ...state, retried: attempts } } },
      now,
    );
  };
}

/** @param artifacts that the stage has stored itself */
export function finishStage(
  stage: StageName,
  result: JsonValue,
  artifacts: readonly ArtifactRecord[] = [],
): Transition {
  return (record, now) => {
    if (isFinal(record.state) || record.stages[stage]?.result) return record;
    const attempt = attemptsOf(record, stage);
    const next = {
      ...record,
      stages: { ...record.stages, [stage]: { attempts: attempt, result } },
      artifacts: [...record.artifacts, ...artifacts],
    };
    return withEvents(next, now, [
      stageChanged(stage, 'FINISHED', { attempt }),
      ...artifacts.map((artifact) => artifactCreated(record.id, artifact)),
    ]);
  };
}

/** The adapter's folder is stored. */
export function storeOutcome(
  artifacts: readonly ArtifactRecord[],
  outcome: NonNullable<JobRecord['outcome']>,
): Transition {
  return (record, now) => {
    if (isFinal(record.state) || record.outcome) return record;
    const next = { ...record, outcome, artifacts: [...record.artifacts, ...artifacts] };
    return withEvents(
      next,
      now,
      artifacts.map((artifact) => artifactCreated(record.id, artifact)),
    );
  };
}

/** The end of a job; one that was cancelled in the meantime ends so. */
export function finishJob(
  end:
    | { state: 'SUCCEEDED'; report: JsonValue }
    | { state: 'FAILED'; error: JsonValue }
    | { state: 'CANCELLED' },
): Transition {
  return (record, now) => {
    if (isFinal(record.state)) return record;
    const given = record.state === 'CANCELLING' ? ({ state: 'CANCELLED' } as const) : end;
    const error = given.state === 'FAILED' ? given.error : null;
    const report = given.state === 'SUCCEEDED' ? given.report : null;
    return withEvents(
      { ...record, state: given.state, error, report, endTime: now.toISOString() },
      now,
      [stateChanged(given.state, error)],
    );
  };
}

/** Everything about a job that is over has been done. */
export const settleJob: Transition = (record) =>
  record.settled || !isFinal(record.state) ? record : { ...record, settled: true };

/** Deletes a job that is over. What is stored of it is the leader's to remove, whoever asked. */
export const requestDelete: Transition = (record, now) =>
  isFinal(record.state) && record.deleteTime === undefined
    ? { ...record, deleteTime: now.toISOString() }
    : record;

/** Forgets events that the log has, and remembers where the log will be once it has the others. */
export function trimOutbox(
  record: JobRecord,
  log: { readonly transition: number; readonly sequence: number },
): JobRecord {
  const outbox = record.outbox.filter(({ transition }) => transition > log.transition);
  return { ...record, outbox, lastEventSequence: log.sequence + outbox.length };
}

export function attemptsOf(record: JobRecord, stage: StageName): number {
  return record.stages[stage]?.attempts ?? 0;
}

function withEvents(record: JobRecord, now: Date, events: readonly EventContent[]): JobRecord {
  const added = events.map((event, index) => ({
    transition: record.transitions + index + 1,
    event: toEventJson(event, now),
  }));
  return {
    ...record,
    updateTime: now.toISOString(),
    transitions: record.transitions + added.length,
    outbox: [...record.outbox, ...added],
  };
}

function artifactCreated(job: string, { path }: ArtifactRecord): EventContent {
  return { case: 'artifactCreated', value: { artifact: artifactName(job, path) } };
}

function furthest(current: StageName | null, stage: StageName): StageName {
  return current !== null && stageNames.indexOf(current) > stageNames.indexOf(stage)
    ? current
    : stage;
}
