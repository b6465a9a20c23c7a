import { createHash } from 'node:crypto';
import type { LoraAdapter } from '@emloc/checkpoint';
import {
  batchSchedule,
  datasetWarnings,
  loadDataset,
  openDatasetSession,
  sampleCalibration,
  splitValidation,
  type Dataset,
  type DatasetReport,
  type EncodedRow,
  type OpenDatasetSession,
  type TextDescription,
} from '@emloc/dataset';
import type { DeviceProfile } from '@emloc/device';
import { emulatorRank, parseRatioRules, ratioOf } from '@emloc/emulator';
import {
  adaptedLinears,
  blankAdapter,
  initialAdapter,
  type LearningRateSchedule,
} from '@emloc/finetune';
import { openModel, type Model, type ModelLinear } from '@emloc/models';
import { consecutive, type TextBatches, type TextRows } from '@emloc/tasks';

import { withModality, type ModalityOptions } from '../options/modality.js';
import { decidingOptions, utcDay, type TuneOptions } from '../options/resolve.js';
import { behindFront, imagesOf, rowsWith, type JobImages } from './images.js';
import { textSourceOf } from './text-record.js';

/** A linear layer that the emulator replaces by factors of this rank. */
export interface EmulatedLinear extends ModelLinear {
  readonly ratio: number;
  readonly rank: number;
}

/** A training run: rows by index per micro-batch per step, and its schedule. */
export interface TrainingPlan {
  readonly batches: readonly (readonly (readonly number[])[])[];
  readonly schedule: LearningRateSchedule;
}

/** Options of a job that has begun. */
type JobOptions = Omit<TuneOptions, ModalityOptions> & {
  readonly [K in 'date' | ModalityOptions]: NonNullable<TuneOptions[K]>;
};

/** Everything that the stages need to know, decided before a device is touched. */
export interface Job extends AsyncDisposable {
  readonly options: JobOptions;
  readonly whole: Model;
  /** Without what runs once an image: what its stages run. */
  readonly model: Model;
  /** null: the model takes none. */
  readonly images: JobImages | null;
  readonly trainRows: TextRows;
  readonly calibration: TextBatches;
  readonly validation: TextBatches;
  /** Tokens of the longest row of all: some rotary tables depend on it. */
  readonly longestRow: number;
  readonly training: TrainingPlan;
  /** Null: no refinement. */
  readonly refinement: TrainingPlan | null;
  /** Empty at ratio 1: plain LoRA on the original. */
  readonly emulated: readonly EmulatedLinear[];
  readonly report: {
    readonly train: DatasetReport;
    readonly validation: DatasetReport;
    readonly datasetSha256: string;
    /** How rows became text. */
    readonly text: TextDescription;
  };
  /** Name of the job: a hash of everything that decides its result. */
  readonly id: string;
  close(): Promise<void>;
}

/** How a job is prepared. */
export interface PrepareHost {
  /** Where rows are read: by default in this thread, which is busy meanwhile. */
  readonly openDataset?: OpenDatasetSession;
  /** Whether images must lie beside the rows that name them: where the rows are somebody else's. */
  readonly restrictImages?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Reads and checks model, data and options against each other. A job without a date gets that of
 * today.
 * @throws the typed errors of each
 */
export async function prepareJob(options: TuneOptions, host: PrepareHost = {}): Promise<Job> {
  const date = options.date ?? utcDay(new Date());
  const { allowUnusedLayers } = options;
  const model = await openModel(options.model, { allowUnusedLayers });
  try {
    return await jobOf({ ...withModality(options, model.layout), date }, model, host);
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function jobOf(options: JobOptions, whole: Model, host: PrepareHost): Promise<Job> {
  const adapted = adaptedLinears(whole.layout, options.targets);
  const { dataset, heldOut, text } = await loadRows(options, whole, host);
  const split = heldOut
    ? { train: dataset.rows, validation: heldOut.rows }
    : splitValidation(dataset.rows, { seed: options.seed });
  const touched = new Set([
    ...adapted.keys(),
    ...emulatedLinears(whole, options).map(({ path }) => path),
  ]);
  const rows = [...split.train, ...split.validation];
  const images = imagesOf(rows, { ...options, layout: whole.layout, touched });
  const model = behindFront(whole, images?.front ?? null);
  const emulated = emulatedLinears(model, options);
  const training = trainingPlan(split.train, options);
  const rowsOf = rowsWith(images);
  return {
    options,
    whole,
    model,
    images,
    trainRows: rowsOf(split.train),
    calibration: inOrder(
      rowsOf(
        sampleCalibration(split.train, { count: options.calibrationRows, seed: options.seed }),
      ),
      options.batch,
    ),
    validation: inOrder(rowsOf(split.validation), options.batch),
    longestRow: longestOf(rows),
    training,
    refinement:
      emulated.length > 0 ? refinementPlan(split.train, training.batches.length, options) : null,
    emulated,
    report: {
      train: dataset.report,
      validation: (heldOut ?? dataset).report,
      datasetSha256: dataset.sha256,
      text,
    },
    id: await jobId(options, whole, [dataset.sha256, heldOut?.sha256 ?? '']),
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
  const { data, validation, maxLength, strict } = options;
  await using session = openDataset(textSourceOf(options, model, { restrictImages }));
  const load = (path: string): Promise<Dataset> =>
    loadDataset(session, { path, maxLength, strict, signal });
  return {
    dataset: await load(data),
    heldOut: validation === null ? null : await load(validation),
    text: await session.describe(),
  };
}

/** What the owner of a job should know of model and rows; holds nothing that stands in rows. */
export function jobNotices({ report, model }: Job): string[] {
  const of = (rows: DatasetReport): string[] => datasetWarnings(rows, { withNames: false });
  const ofValidation = report.validation === report.train ? [] : of(report.validation);
  return [
    ...model.notices,
    ...of(report.train),
    ...ofValidation.map((warning) => `validation: ${warning}`),
  ];
}

/** The adapter that training starts from; where it is only planned, one of its sizes. */
export function startingAdapter(
  { options, model: { layout } }: Job,
  { reads = 'real' }: { readonly reads?: 'real' | 'none' } = {},
): LoraAdapter {
  const { rank, alpha, useRslora, targets, seed } = options;
  const config = { rank, alpha, useRslora, targets };
  return reads === 'none' ? blankAdapter(layout, config) : initialAdapter(layout, config, seed);
}

/** Rows in order, `batchRows` to a batch. */
export function inOrder(source: TextRows, batchRows: number): TextBatches {
  return { source, rows: consecutive(source.count, batchRows) };
}

/** Tokens of the longest row. */
export function longestOf(rows: readonly EncodedRow[]): number {
  return rows.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
}

/** Rank in which a device stores factors of this mathematical rank. */
export function paddedRank(rank: number, { rankMultiple }: DeviceProfile): number {
  return Math.ceil(rank / rankMultiple) * rankMultiple;
}

function emulatedLinears({ layout }: Model, options: TuneOptions): EmulatedLinear[] {
  const rules = parseRatioRules(options.ratios);
  return layout.linears.flatMap((linear) => {
    const { inFeatures, outFeatures } = linear;
    const ratio = ratioOf(rules, linear);
    if (ratio >= 1) return [];
    return [{ ...linear, ratio, rank: emulatorRank(ratio, inFeatures, outFeatures) }];
  });
}

function trainingPlan(rows: readonly EncodedRow[], options: JobOptions): TrainingPlan {
  const { batch, gradientAccumulation, epochs, steps, seed } = options;
  const batches = batchSchedule({
    rows,
    batchSize: batch,
    gradientAccumulation,
    epochs,
    steps: steps ?? undefined,
    seed,
  });
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
      epochs: options.epochs,
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

/** Changes where kept progress means something else than before: 2 counts the chain's blocks. */
const progressFormat = 2;

async function jobId(
  options: JobOptions,
  model: Model,
  datasets: readonly string[],
): Promise<string> {
  const fingerprint = await model.checkpoint.fingerprint();
  return createHash('sha256')
    .update(JSON.stringify([decidingOptions(options), fingerprint, datasets, progressFormat]))
    .digest('hex')
    .slice(0, 16);
}
