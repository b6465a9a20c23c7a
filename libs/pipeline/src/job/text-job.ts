import { batchSchedule, sampleCalibration, type EncodedRow, type Mixture } from '@emloc/dataset';
import { adaptedLinears } from '@emloc/finetune';
import type { Model } from '@emloc/models';
import { TextTables, type TextRows } from '@emloc/tasks';

import { PipelineError } from '../errors.js';
import { assertRank } from '../options/checks.js';
import { mostSteps } from '../options/limits.js';
import { emulatedLinears, levelEmulators } from './emulated-linear.js';
import { dataSha256 } from './file-report.js';
import type { GivenStart } from './given-start.js';
import { imagesOf, rowsWith } from './images.js';
import {
  behindFront,
  inOrder,
  jobId,
  type Job,
  type JobOptions,
  type PrepareHost,
  type TrainingPlan,
} from './job.js';
import { levelPlans, type LevelPlans } from './level-plans.js';
import { loadRows, type LoadedRows } from './load-rows.js';
import { textTask } from './text-task.js';

/** A job on rows of text, with images where the model takes some. */
export async function textJob(
  options: JobOptions,
  { model: whole, start }: { readonly model: Model; readonly start: GivenStart | null },
  host: PrepareHost,
): Promise<Job<TextRows>> {
  const adapted = adaptedLinears(whole.layout, options.targets);
  assertRank(options.rank, adapted.values());
  const loaded = await loadRows(options, whole, host);
  const id = await jobId(options, whole, { datasets: loaded.sha256s, start });
  return jobOf(options, { whole, start, loaded, id });
}

interface TextInputs {
  readonly whole: Model;
  readonly start: GivenStart | null;
  readonly loaded: LoadedRows;
  readonly id: string;
}

/** Needs no file any more, so that one job's rows serve several. */
function jobOf(options: JobOptions, inputs: TextInputs): Job<TextRows> {
  const { whole, start, id } = inputs;
  const { train, validation, files, trainReport, validationReport, text } = inputs.loaded;
  const touched = new Set([
    ...adaptedLinears(whole.layout, options.targets).keys(),
    ...emulatedLinears(whole, options).map(({ path }) => path),
  ]);
  const rows = [...train.rows, ...validation];
  const images = imagesOf(rows, { ...options, layout: whole.layout, touched });
  const frontBlocks = images?.front?.blocks ?? 0;
  const model = behindFront(whole, frontBlocks);
  const emulated = emulatedLinears(model, options);
  const { training, refinement } = plansOf(train, options);
  const rowsOf = rowsWith(images, new TextTables(whole.layout, null));
  return {
    options,
    whole,
    frontBlocks,
    model,
    task: textTask(images),
    sampler: null,
    trainRows: rowsOf(train.rows),
    calibration: inOrder(
      rowsOf(sampleCalibration(train, { count: options.calibrationRows, seed: options.seed })),
      options.batch,
    ),
    validation: inOrder(rowsOf(validation), options.batch),
    longestRow: longestOf(rows),
    training,
    start,
    refinement: emulated.length > 0 ? refinement : null,
    emulated,
    levels: emulated.length > 0 ? levelEmulators(emulated, options) : null,
    report: {
      kind: 'rows',
      train: trainReport,
      validation: validationReport,
      files,
      datasetSha256: dataSha256(files),
      text,
    },
    variant: (changes) => jobOf({ ...options, ...changes }, inputs),
    id,
    close: () => whole.close(),
    [Symbol.asyncDispose]: () => whole.close(),
  };
}

/** Tokens of the longest row. */
export function longestOf(rows: readonly EncodedRow[]): number {
  return rows.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
}

function plansOf(train: Mixture, options: JobOptions): LevelPlans {
  const { levels, gradientAccumulation } = options;
  const epochs = options.epochs ?? 1;
  if (levels !== null)
    return levelPlans(levels, options, ({ batch, steps, seed }) =>
      batchSchedule({
        ...train,
        batchSize: { rows: batch },
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
  const { batch, gradientAccumulation, steps, seed } = options;
  const epochs = options.epochs ?? 1;
  const batches = batchSchedule({
    ...train,
    batchSize: { rows: batch },
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
  const { batch, gradientAccumulation, seed } = options;
  return {
    batches: batchSchedule({
      ...train,
      batchSize: { rows: batch },
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
