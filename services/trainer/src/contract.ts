import type { TensorRecord, TrainingCourse } from '@emloc/pipeline';
import type {
  EngineContract,
  EngineReport,
  FactorsRequest,
  TrainingRequest,
} from '@emloc/stage/engine';

export interface TrainingTask {
  readonly stage: 'train' | 'refine';
  /** Where refinement starts; training starts afresh. */
  readonly adapter: TensorRecord | null;
  /** What training left, whose optimizer is gone on with; null: a fresh one. */
  readonly trained: TensorRecord | null;
  readonly checkpointSteps: number;
}

export interface TrainingOutcome {
  readonly report: EngineReport;
  readonly adapter: TensorRecord;
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly finalLoss: number;
  /** Validation loss before; null in refinement. */
  readonly lossBefore: number | null;
  /** Of the adapter. */
  readonly lossAfter: number;
  readonly course: TrainingCourse;
}

/** The trainer's engine. */
export type TrainContract = EngineContract<
  TrainingTask,
  TrainingRequest | FactorsRequest,
  TensorRecord,
  TrainingOutcome
>;
