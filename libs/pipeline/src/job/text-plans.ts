import { batchSchedule, type BatchSize, type EncodedRow, type Mixture } from '@emloc/dataset';
import { consecutive, consecutiveTokens, type TextBatches, type TextRows } from '@emloc/tasks';

import { PipelineError } from '../errors.js';
import { invalidOption } from '../options/checks.js';
import { mostSteps } from '../options/limits.js';
import type { JobOptions, TrainingPlan } from './job.js';
import { levelPlans, type LevelPlans } from './level-plans.js';

type SizeOptions = Pick<JobOptions, 'batch' | 'batchTokens'>;

function batchSizeOf({ batch, batchTokens }: SizeOptions): BatchSize {
  return batchTokens === null ? { rows: batch } : { tokens: batchTokens };
}

/**
 * Rows in their order, in batches of the size that those of training have.
 * @param rows as long as `source`
 */
export function textBatches(
  source: TextRows,
  rows: readonly EncodedRow[],
  { batch, batchTokens }: SizeOptions,
): TextBatches {
  const lengths = rows.map(({ ids }) => ids.length);
  return {
    source,
    rows:
      batchTokens === null
        ? consecutive(source.count, batch)
        : consecutiveTokens(lengths, batchTokens),
  };
}

/** @throws PipelineError PIPELINE_INVALID_OPTION where a batch has no room for the longest row */
export function assertBatchTokens({ batchTokens }: SizeOptions, longestRow: number): void {
  if (batchTokens !== null && batchTokens < longestRow)
    throw invalidOption(
      'batchTokens',
      batchTokens,
      `at least ${longestRow}, the tokens of the longest row, which option maxLength can make shorter,`,
    );
}

/** The steps of a job, or of its levels. @throws PipelineError PIPELINE_INVALID_OPTION */
export function plansOf(train: Mixture, options: JobOptions): LevelPlans {
  const { levels, gradientAccumulation } = options;
  const epochs = options.epochs ?? 1;
  if (levels !== null)
    return levelPlans(levels, options, ({ batch, steps, seed }) =>
      batchSchedule({
        ...train,
        batchSize: batch === null ? batchSizeOf(options) : { rows: batch },
        gradientAccumulation,
        epochs,
        steps,
        seed,
      }),
    );
  const training = trainingPlan(train, options);
  return { training, refinement: refinementPlan(train, training.batches.length, options) };
}

function trainingPlan(train: Mixture, options: JobOptions): TrainingPlan {
  const { gradientAccumulation, steps, seed } = options;
  const epochs = options.epochs ?? 1;
  const batches = batchSchedule({
    ...train,
    batchSize: batchSizeOf(options),
    gradientAccumulation,
    epochs,
    steps: steps ?? undefined,
    seed,
  });
  if (batches.length > mostSteps)
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      `option epochs: ${epochs} given, they make ${batches.length} steps, at most ${mostSteps} are allowed`,
    );
  return {
    batches,
    schedule: {
      kind: options.schedule,
      learningRate: options.learningRate,
      steps: batches.length,
      warmupRatio: options.warmupRatio,
    },
  };
}

/**
 * On top of the main steps: 10 % of them unless told otherwise, data order from seed + 1, cosine
 * after 3 % warm-up.
 */
function refinementPlan(
  train: Mixture,
  mainSteps: number,
  options: JobOptions,
): TrainingPlan | null {
  const steps = options.refineSteps ?? Math.ceil(mainSteps / 10);
  if (steps === 0) return null;
  const { gradientAccumulation, seed } = options;
  return {
    batches: batchSchedule({
      ...train,
      batchSize: batchSizeOf(options),
      gradientAccumulation,
      epochs: options.epochs ?? 1,
      steps,
      seed: seed + 1,
    }),
    schedule: {
      kind: 'cosine',
      learningRate: options.refineLearningRate ?? options.learningRate / 2,
      steps,
      warmupRatio: 0.03,
    },
  };
}
