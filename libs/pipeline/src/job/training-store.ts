import type { LoraAdapter } from '@emloc/checkpoint';
import type { TrainingState } from '@emloc/finetune';
import type { Score } from '@emloc/tasks';

import type { ValidationPoint } from './training-course.js';

/** How far a training stage has come. */
export interface StageProgress {
  /** The evaluation before training; null where none was asked for. */
  readonly before: Score | null;
  readonly state: TrainingState;
  /** null: none were asked for. */
  readonly validations: KeptValidations | null;
}

/** A state of training that was validated. */
export interface ValidatedState {
  /** Steps that it has behind it. */
  readonly step: number;
  readonly score: Score;
  readonly adapter: LoraAdapter;
}

/** Validations of a run up to a state of it. */
export interface KeptValidations {
  readonly curve: readonly ValidationPoint[];
  /** null: that of the start, which is known without. */
  readonly best: ValidatedState | null;
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
