import {
  batchSchedule,
  loadDataset,
  openDatasetSession,
  sampleCalibration,
  splitValidation,
  type Dataset,
  type EncodedRow,
  type TextDescription,
} from '@emloc/dataset';
import { adaptedLinears } from '@emloc/finetune';
import type { Model } from '@emloc/models';
import { TextTables, type TextRows } from '@emloc/tasks';

import { PipelineError } from '../errors.js';
import { assertRank } from '../options/checks.js';
import { mostSteps } from '../options/limits.js';
import { anchoredTraining } from './anchors.js';
import { emulatedLinears, levelEmulators } from './emulated-linear.js';
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
import { textSourceOf } from './text-record.js';
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
  const { dataset, heldOut } = loaded;
  const split = heldOut
    ? { train: dataset.rows, validation: heldOut.rows }
    : splitValidation(dataset.rows, { seed: options.seed });
  const datasets = [dataset.sha256, heldOut?.sha256 ?? ''];
  const id = await jobId(options, whole, { datasets, start });
  return jobOf(options, { whole, start, loaded, split, id });
}

interface TextInputs {
  readonly whole: Model;
  readonly start: GivenStart | null;
  readonly loaded: LoadedRows;
  readonly split: {
    readonly train: readonly EncodedRow[];
    readonly validation: readonly EncodedRow[];
  };
  readonly id: string;
}

/** Needs no file any more, so that one job's rows serve several. */
function jobOf(options: JobOptions, inputs: TextInputs): Job<TextRows> {
  const { whole, start, split, id } = inputs;
  const { dataset, heldOut, text } = inputs.loaded;
  const touched = new Set([
    ...adaptedLinears(whole.layout, options.targets).keys(),
    ...emulatedLinears(whole, options).map(({ path }) => path),
  ]);
  const rows = [...split.train, ...split.validation];
  const images = imagesOf(rows, { ...options, layout: whole.layout, touched });
  const frontBlocks = images?.front?.blocks ?? 0;
  const model = behindFront(whole, frontBlocks);
  const emulated = emulatedLinears(model, options);
  const { training, refinement } = plansOf(split.train, options);
  const rowsOf = rowsWith(images, new TextTables(whole.layout, null));
  return {
    options,
    whole,
    frontBlocks,
    model,
    task: textTask(images),
    sampler: null,
    trainRows: rowsOf(split.train),
    calibration: inOrder(
      rowsOf(
        sampleCalibration(split.train, { count: options.calibrationRows, seed: options.seed }),
      ),
      options.batch,
    ),
    validation: inOrder(rowsOf(split.validation), options.batch),
    longestRow: longestOf(rows),
    training: anchoredTraining(training, options, emulated.length > 0),
    start,
    refinement: emulated.length > 0 ? refinement : null,
    emulated,
    levels: emulated.length > 0 ? levelEmulators(emulated, options) : null,
    report: {
      kind: 'rows',
      train: dataset.report,
      validation: (heldOut ?? dataset).report,
      datasetSha256: dataset.sha256,
      text,
    },
    variant: (changes) => jobOf({ ...options, ...changes }, inputs),
    id,
    close: () => whole.close(),
    [Symbol.asyncDispose]: () => whole.close(),
  };
}

interface LoadedRows {
  readonly dataset: Dataset;
  /** Null: rows are held out of the data set. */
  readonly heldOut: Dataset | null;
  readonly text: TextDescription;
}

async function loadRows(
  options: JobOptions,
  model: Model,
  { openDataset = openDatasetSession, restrictImages, signal }: PrepareHost,
): Promise<LoadedRows> {
  const { data, validation, maxLength, strict, columns } = options;
  await using session = openDataset(textSourceOf(options, model, { restrictImages }));
  const load = (path: string): Promise<Dataset> =>
    loadDataset(session, { path, maxLength, strict, columns, signal });
  return {
    dataset: await load(data),
    heldOut: validation === null ? null : await load(validation),
    text: await session.describe(),
  };
}

/** Tokens of the longest row. */
export function longestOf(rows: readonly EncodedRow[]): number {
  return rows.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
}

function plansOf(rows: readonly EncodedRow[], options: JobOptions): LevelPlans {
  const { levels, gradientAccumulation } = options;
  const epochs = options.epochs ?? 1;
  if (levels !== null)
    return levelPlans(levels, options, ({ batch: batchSize, steps, seed }) =>
      batchSchedule({ rows, batchSize, gradientAccumulation, epochs, steps, seed }),
    );
  const training = trainingPlan(rows, options);
  return { training, refinement: refinementPlan(rows, training.batches.length, options) };
}

function trainingPlan(rows: readonly EncodedRow[], options: JobOptions): TrainingPlan {
  const { batch, gradientAccumulation, steps, seed } = options;
  const epochs = options.epochs ?? 1;
  const batches = batchSchedule({
    rows,
    batchSize: batch,
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
  rows: readonly EncodedRow[],
  mainSteps: number,
  options: JobOptions,
): TrainingPlan | null {
  const steps = options.refineSteps ?? Math.ceil(mainSteps / 10);
  if (steps === 0) return null;
  const { batch, gradientAccumulation, seed } = options;
  return {
    batches: batchSchedule({
      rows,
      batchSize: batch,
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
