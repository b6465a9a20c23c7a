import { timestampDate, type Timestamp } from '@bufbuild/protobuf/wkt';
import {
  MergeOptions_Dtype as Dtype,
  fromTuneOptionsMessage,
  Job_ModelKind as JobModelKind,
  Artifact_Kind as Kind,
  StageStateChanged_State as StageState,
  Job_State as State,
  toTuneOptionsMessage,
  type Artifact as ArtifactMessage,
  type Dataset as DatasetMessage,
  type JobEvent as JobEventMessage,
  type Job as JobMessage,
  type PlainTuneOptions,
  type PlanJobResponse,
  type Status,
  type TuneOptions,
} from '@emloc/contracts';
import { fromStatus } from '@emloc/rpc';

import { EmlocError, toFailure, type Failure } from './errors.js';
import { fromReport, fromStageReport } from './from-report.js';
import { fromStage } from './stages.js';
import type {
  Artifact,
  ArtifactKind,
  Dataset,
  Job,
  JobEvent,
  JobPlan,
  JobState,
  MergeDtype,
  ModelKind,
} from './values.js';

const states: Readonly<Partial<Record<State, JobState>>> = Object.freeze({
  [State.QUEUED]: 'queued',
  [State.RUNNING]: 'running',
  [State.CANCELLING]: 'cancelling',
  [State.SUCCEEDED]: 'succeeded',
  [State.FAILED]: 'failed',
  [State.CANCELLED]: 'cancelled',
});

const stageStates: Readonly<Partial<Record<StageState, 'started' | 'finished' | 'retrying'>>> =
  Object.freeze({
    [StageState.STARTED]: 'started',
    [StageState.FINISHED]: 'finished',
    [StageState.RETRYING]: 'retrying',
  });

const kinds: Readonly<Partial<Record<Kind, ArtifactKind>>> = Object.freeze({
  [Kind.ADAPTER]: 'adapter',
  [Kind.UNCORRECTED_ADAPTER]: 'uncorrected',
  [Kind.MERGED_CHECKPOINT]: 'merged',
  [Kind.REPORT]: 'report',
});

const modelKinds: Readonly<Partial<Record<JobModelKind, ModelKind>>> = Object.freeze({
  [JobModelKind.TEXT]: 'text',
  [JobModelKind.PICTURES]: 'pictures',
});

const dtypes: Readonly<Partial<Record<Dtype, MergeDtype>>> = Object.freeze({
  [Dtype.FLOAT32]: 'float32',
  [Dtype.BFLOAT16]: 'bfloat16',
  [Dtype.FLOAT16]: 'float16',
});

export function fromJob(job: JobMessage): Job {
  return {
    name: job.name,
    displayName: job.displayName,
    options: job.options ? fromTuneOptionsMessage(job.options) : { model: '', data: '' },
    merge: job.merge ? { dtype: dtypes[job.merge.dtype] ?? null } : null,
    modelKind: modelKinds[job.modelKind] ?? 'unknown',
    state: states[job.state] ?? 'unknown',
    stage: fromStage(job.stage),
    error: fromError(job.error),
    report: job.report ? fromReport(job.report) : null,
    createTime: fromTime(job.createTime),
    startTime: fromTime(job.startTime),
    endTime: fromTime(job.endTime),
    updateTime: fromTime(job.updateTime),
    retries: job.retries,
    lastEventSequence: Number(job.lastEventSequence),
  };
}

export function fromArtifact({
  name,
  kind,
  path,
  sizeBytes,
  sha256,
  createTime,
}: ArtifactMessage): Artifact {
  return {
    name,
    kind: kinds[kind] ?? 'unknown',
    path,
    sizeBytes: Number(sizeBytes),
    sha256,
    createTime: fromTime(createTime),
  };
}

export function fromDataset({
  name,
  displayName,
  sizeBytes,
  sha256,
  createTime,
}: DatasetMessage): Dataset {
  return {
    name,
    displayName,
    sizeBytes: Number(sizeBytes),
    sha256,
    createTime: fromTime(createTime),
  };
}

export function fromPlan(plan: PlanJobResponse): JobPlan {
  const { fits, budgetBytes, neededBytes, stages, methodChoice } = plan;
  return {
    fits,
    budgetBytes: Number(budgetBytes),
    neededBytes: Number(neededBytes),
    stages: stages.map(fromStageReport),
    methodChoice: methodChoice ?? null,
  };
}

export function fromEvent({ sequence, time, event }: JobEventMessage): JobEvent {
  const base = { sequence: Number(sequence), time: fromTime(time) };
  switch (event.case) {
    case 'stateChanged':
      return {
        ...base,
        type: 'state',
        state: states[event.value.state] ?? 'unknown',
        error: fromError(event.value.error),
      };
    case 'stageStateChanged': {
      const { stage, state, attempt, error } = event.value;
      return {
        ...base,
        type: 'stage',
        stage: fromStage(stage),
        state: stageStates[state] ?? 'unknown',
        attempt,
        error: fromError(error),
      };
    }
    case 'progress': {
      const { stage, task, done, total } = event.value;
      return {
        ...base,
        type: 'progress',
        stage: fromStage(stage),
        task,
        done: Number(done),
        total: Number(total),
      };
    }
    case 'step': {
      const { stage, step, steps, loss, learningRate, gradientNorm, ...rest } = event.value;
      return {
        ...base,
        type: 'step',
        stage: fromStage(stage),
        step,
        steps,
        loss,
        learningRate,
        gradientNorm,
        tokens: Number(rest.tokens),
        seconds: rest.seconds,
        level: rest.level,
        deviceBytes: Number(rest.deviceBytes),
        peakDeviceBytes: Number(rest.peakDeviceBytes),
        budgetBytes: Number(rest.budgetBytes),
        stallSeconds: rest.stallSeconds,
        anchor: rest.anchor,
      };
    }
    case 'notice':
      return { ...base, type: 'notice', message: event.value.message };
    case 'artifactCreated':
      return { ...base, type: 'artifact', artifact: event.value.artifact };
    case undefined:
      return { ...base, type: 'unknown' };
  }
}

/** @throws EmlocError SDK_OPTION_INVALID for a size or seed that is no whole number */
export function toOptionsMessage(options: PlainTuneOptions): TuneOptions {
  try {
    return toTuneOptionsMessage(options);
  } catch (cause) {
    throw new EmlocError('SDK_OPTION_INVALID', `options: ${(cause as Error).message}`, { cause });
  }
}

/** The enum's value; that of the base model's checkpoint for none. */
export function toDtype(dtype: MergeDtype | null): Dtype {
  const values = Object.keys(dtypes).map(Number) as Dtype[];
  return values.find((value) => dtypes[value] === dtype) ?? Dtype.UNSPECIFIED;
}

function fromError(status: Status | undefined): Failure | null {
  return status ? toFailure(fromStatus(status)) : null;
}

function fromTime(time: Timestamp | undefined): Date | null {
  return time ? timestampDate(time) : null;
}
