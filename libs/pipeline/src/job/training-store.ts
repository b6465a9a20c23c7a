import type { TrainingState } from '@emloc/finetune';
import type { Score } from '@emloc/tasks';

/** How far a training stage has come. */
export interface StageProgress {
  /** The evaluation before training; null where none was asked for. */
  readonly before: Score | null;
  readonly state: TrainingState;
}

/** Where the states of training live while it runs. */
export interface TrainingStore {
  /** A state is saved after so many steps; Infinity: only at an interruption. */
  readonly everySteps: number;
  load(stage: 'train' | 'refine'): Promise<StageProgress | null>;
  /** Takes the place of what was saved before, whole or not at all. */
  save(stage: 'train' | 'refine', progress: StageProgress): Promise<void>;
}

/** Keeps nothing: for runs that are never resumed. */
export const noTrainingStore: TrainingStore = Object.freeze({
  everySteps: Number.POSITIVE_INFINITY,
  load: () => Promise.resolve(null),
  save: () => Promise.resolve(),
});
