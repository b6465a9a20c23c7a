import { at } from '@emloc/checked';
import { batchesOf, countMicroBatches, type StepBatches } from '@emloc/finetune';

import { dividedLevels, parseLevels, type Level } from '../options/levels.js';
import type { JobOptions, TrainingPlan } from './job.js';

/** One run of steps: its batches, and the seed of their order. */
export interface StepsWanted {
  readonly steps: number;
  /** Rows per micro-batch; null: those of the job. */
  readonly batch: number | null;
  readonly seed: number;
}

/** Training on emulators and the refinement of a job with levels. */
export interface LevelPlans {
  readonly training: TrainingPlan;
  /** null: no level is the original. */
  readonly refinement: TrainingPlan | null;
}

/**
 * The plans of a job's levels: each restarts the learning rate and has an order of rows of its own.
 * The last level on the original goes on linearly, at the rate of `originalRate` unless told
 * otherwise.
 * @param batches makes those of one level; called for one after another
 */
export function levelPlans(
  levels: string,
  options: JobOptions,
  batches: (wanted: StepsWanted) => StepBatches,
): LevelPlans {
  const { schedule: kind, learningRate, warmupRatio, refineLearningRate } = options;
  const { emulated, original } = dividedLevels(parseLevels('levels', levels));
  const batchesAt = ({ steps, batch }: Level, index: number): StepBatches =>
    batches({ steps, batch, seed: options.seed + index });
  const parts = emulated.map(batchesAt);
  const steps = emulated.reduce((sum, level) => sum + level.steps, 0);
  return {
    training: {
      batches: joined(parts),
      schedule: { kind, learningRate, steps, warmupRatio },
    },
    refinement: original && {
      batches: batchesAt(original, emulated.length),
      schedule: {
        kind: 'linear',
        learningRate: refineLearningRate ?? originalRate(options, original),
        steps: original.steps,
        warmupRatio: 0.03,
      },
    },
  };
}

/** Largest batches, in those of the job, for which a higher rate was measured. */
const mostMeasured = 4;

/**
 * The peak on the original: AdamW's grows with the square root of the rows of a batch, whose
 * gradient is the less noisy the more they are. Prodigy finds its own.
 */
function originalRate(
  { learningRate, optimizer, batch: usual, batchTokens }: JobOptions,
  { batch }: Level,
): number {
  if (batch === null || batchTokens !== null || optimizer !== 'adamw') return learningRate;
  return learningRate * Math.sqrt(Math.min(mostMeasured, batch / usual));
}

/** Steps one after another. */
function joined(parts: readonly StepBatches[]): StepBatches {
  const starts = parts.map((_, index) =>
    parts.slice(0, index).reduce((sum, { length }) => sum + length, 0),
  );
  const placeOf = (step: number): { readonly part: StepBatches; readonly step: number } => {
    const index = starts.findLastIndex((start) => start <= step);
    return { part: at(parts, index), step: step - at(starts, index) };
  };
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return {
    length,
    parts,
    repeatsShapes: parts.every(({ repeatsShapes }) => repeatsShapes === true),
    at: (step) => {
      if (!(step >= 0 && step < length)) return undefined;
      const place = placeOf(step);
      return batchesOf(place.part, place.step);
    },
    microBatchesBefore: (step) => {
      const { part, step: within } = placeOf(step);
      const before = parts.slice(0, parts.indexOf(part));
      const whole = before.reduce((sum, each) => sum + countMicroBatches(each, 0), 0);
      return whole + countMicroBatches(part, 0) - countMicroBatches(part, within);
    },
  };
}
