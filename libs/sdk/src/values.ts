import type { PlainTuneOptions } from '@emloc/contracts';

import type { Failure } from './errors.js';
import type { StageName } from './stages.js';

/**
 * Where a job stands; `succeeded`, `failed` and `cancelled` are final. `unknown`: a state that this
 * version does not know.
 */
export type JobState =
  'queued' | 'running' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled' | 'unknown';

/** Element type of merged weights. */
export type MergeDtype = 'float32' | 'bfloat16' | 'float16';

/** `unknown`: a newer server's, or of a job made before servers told it. */
export type ModelKind = 'text' | 'pictures' | 'unknown';

/** A fine-tuning job as it was when it was asked for. */
export interface Job {
  /** `jobs/{job}` */
  readonly name: string;
  readonly displayName: string;
  /** With the server's defaults filled in. */
  readonly options: PlainTuneOptions;
  /** null: no merged checkpoint is made. `dtype` null: that of the base model. */
  readonly merge: { readonly dtype: MergeDtype | null } | null;
  /** What its steps count: tokens of a model of text, pictures of one that makes them. */
  readonly modelKind: ModelKind;
  readonly state: JobState;
  /** The stage furthest ahead; null before the first. */
  readonly stage: StageName | null;
  /** Set when the job failed. */
  readonly error: Failure | null;
  /** Set when the job succeeded. */
  readonly report: TuneReport | null;
  readonly createTime: Date | null;
  readonly startTime: Date | null;
  readonly endTime: Date | null;
  readonly updateTime: Date | null;
  /** Stage calls that were started again after a failure. */
  readonly retries: number;
  readonly lastEventSequence: number;
}

/** What a stage took, or will take. */
export interface StageReport {
  readonly name: StageName | null;
  readonly seconds: number;
  readonly peakDeviceBytes: number;
}

/**
 * The outcome of a job. Losses are means over the trained-on tokens of the validation rows; null
 * where a stage did not run.
 */
export interface TuneReport {
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  /** `device` is the device and numerical library that decide a stage's bytes. */
  readonly stages: readonly (StageReport & { readonly device: string })[];
  readonly validation: {
    readonly base: number;
    readonly emulator: number | null;
    readonly emulatorTuned: number | null;
    readonly uncorrected: number;
    readonly corrected: number | null;
    readonly refined: number | null;
  };
  /** Losses by candidate; null at ratio 1. */
  readonly correction: {
    readonly chosen: string;
    readonly scores: Readonly<Record<string, number>>;
  } | null;
  /** null at ratio 1. */
  readonly emulator: {
    readonly parameters: number;
    readonly originalParameters: number;
    readonly worstLayer: { readonly name: string; readonly relativeError: number };
  } | null;
  readonly train: {
    readonly steps: number;
    readonly tokens: number;
    readonly tokensPerSecond: number;
    readonly finalLoss: number;
  };
  /** null without refinement. `kept`: whether the refined adapter is the result. */
  readonly refinement: { readonly steps: number; readonly kept: boolean } | null;
  /**
   * What the job came to: `worse` than the base model on the validation rows, or `diverged` while
   * it was trained; null: the server does not say.
   */
  readonly ending: 'sound' | 'worse' | 'diverged' | null;
  readonly courses: { readonly train: TrainingCourse; readonly refine: TrainingCourse | null };
}

/** How a training run went. */
export interface TrainingCourse {
  /** Validation losses from the start to the end; null: training was not validated on the way. */
  readonly curve: readonly { readonly step: number; readonly loss: number }[] | null;
  /** Steps that the adapter which was kept has behind it. */
  readonly chosenStep: number;
  /** What was not finite, and where; null: nothing. */
  readonly divergence: string | null;
  /** Whether patience ended the run before its last step. */
  readonly stoppedEarly: boolean;
}

/** What a job would take. */
export interface JobPlan {
  readonly fits: boolean;
  readonly budgetBytes: number;
  /** The smallest budget that every stage can work in. */
  readonly neededBytes: number;
  readonly stages: readonly StageReport[];
  /**
   * What was decided where the method is left to the deployment, as `emloc.json` has it in
   * `choice`; null: nothing was.
   */
  readonly methodChoice: Readonly<Record<string, unknown>> | null;
}

/** Something that happened to a job. Events of a job are numbered from 1 without gaps. */
export type JobEvent = { readonly sequence: number; readonly time: Date | null } & (
  | { readonly type: 'state'; readonly state: JobState; readonly error: Failure | null }
  | {
      readonly type: 'stage';
      readonly stage: StageName | null;
      readonly state: 'started' | 'finished' | 'retrying' | 'unknown';
      readonly attempt: number;
      readonly error: Failure | null;
    }
  | {
      readonly type: 'progress';
      readonly stage: StageName | null;
      readonly task: string;
      readonly done: number;
      readonly total: number;
    }
  | {
      readonly type: 'step';
      readonly stage: StageName | null;
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      readonly learningRate: number;
      readonly gradientNorm: number;
      /** Input tokens of this step, without padding. */
      readonly tokens: number;
      readonly seconds: number;
      /** 1 for the first of the job's levels, and where it has none. */
      readonly level: number;
      /** Device memory in use after the step. */
      readonly deviceBytes: number;
      /** Most device memory that was in use during the step. */
      readonly peakDeviceBytes: number;
      /** What the stage may use. */
      readonly budgetBytes: number;
      /** Seconds in which the step waited for weights. */
      readonly stallSeconds: number;
      /** Whether loss and gradient are those on the original that the model emulates. */
      readonly anchor: boolean;
    }
  | { readonly type: 'notice'; readonly message: string }
  /** `artifact` is `jobs/{job}/artifacts/{artifact}` */
  | { readonly type: 'artifact'; readonly artifact: string }
  /** Something that this version does not know. */
  | { readonly type: 'unknown' }
);

/**
 * What a file belongs to. `adapter` is the result, `uncorrected` the adapter as training on the
 * emulator left it.
 */
export type ArtifactKind = 'adapter' | 'uncorrected' | 'merged' | 'report' | 'unknown';

/** A file that a job made. */
export interface Artifact {
  /** `jobs/{job}/artifacts/{artifact}` */
  readonly name: string;
  readonly kind: ArtifactKind;
  /** Relative path, as the server gives it; nothing is written there before it was checked. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly createTime: Date | null;
}

/** An uploaded file of rows. */
export interface Dataset {
  /** `datasets/{dataset}`; `{ dataset: name }` is what a job's options take. */
  readonly name: string;
  readonly displayName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly createTime: Date | null;
}

/** A page of a list. */
export interface JobsPage {
  readonly jobs: readonly Job[];
  /** null: the last page. */
  readonly nextPageToken: string | null;
}

const finalStates: readonly JobState[] = ['succeeded', 'failed', 'cancelled'];

/** Whether a job will stay in this state. */
export function isFinalState(state: JobState): boolean {
  return finalStates.includes(state);
}
