import { createHash } from 'node:crypto';
import type { Checkpoint, LoraAdapter } from '@emloc/checkpoint';
import type { OpenDatasetSession } from '@emloc/dataset';
import type { DeviceProfile, HostDType } from '@emloc/device';
import {
  blankAdapter,
  coveringBatches,
  initialAdapter,
  type DeviceAdapter,
  type LearningRateSchedule,
  type PagedModel,
  type StepBatches,
} from '@emloc/finetune';
import { pagesSource, restOf, type BatchShape, type Model } from '@emloc/models';
import { consecutive, type TaskBatches, type TaskRows } from '@emloc/tasks';
import type { LayerSource } from '@emloc/weight-pager';

import type { ModalityOptions, ResolvedModality } from '../options/modality.js';
import { decidingOptions, type TuneOptions } from '../options/resolve.js';
import type { EmulatedLinear, EmulatorLevel } from './emulated-linear.js';
import type { JobEnvironment } from './environment.js';
import type { GivenStart } from './given-start.js';
import { reportWarnings, type JobReport } from './report.js';

/** A training run: numbers of rows, and its schedule. */
export interface TrainingPlan {
  readonly batches: StepBatches;
  readonly schedule: LearningRateSchedule;
  /** Of a plan whose batches are not all looked at: at least as much of everything as any has. */
  readonly heaviest?: BatchShape;
  /** Of training on emulators; absent: every gradient is the emulator's. */
  readonly anchors?: AnchorPlan;
}

/** Steps of training on an emulator whose gradients are taken on the original. */
interface AnchorPlan {
  /** Rows of each; a step that has more takes its own. */
  readonly rows: number;
  /** How many there are. */
  readonly count: number;
  /** The steps without anchors, in which is every row that an anchor has. */
  readonly own: StepBatches;
  /** @param step 0 for the first */
  isAnchor(step: number): boolean;
}

/** Options of a job that has begun. */
export type JobOptions = Omit<TuneOptions, 'date' | ModalityOptions> &
  ResolvedModality & { readonly date: string };

/** What a stage reads rows for. */
export type RowUse = (typeof rowUses)[number];

export const rowUses = ['calibration', 'training', 'refinement', 'validation'] as const;

/**
 * What rows of a kind bring that is made once, before the stages that read them: by models that run
 * on images or texts alone, or by the first blocks of the model itself.
 */
export interface JobTask<R extends TaskRows = TaskRows> {
  /** Of models beside the whole one that it reads, by their folders within the model's. */
  readonly checkpoints: ReadonlyMap<string, Checkpoint>;
  /** The task with what `guard` makes of those models. */
  guarded(guard: (model: Model, folder: string) => Model): JobTask<R>;
  /** The pages of what runs then, one model after another. */
  sources(job: Job<R>): readonly LayerSource[];
  /** The job with rows that bring nothing but sizes: for planning. */
  planned(job: Job<R>, dtype: HostDType): Job<R>;
  /** The job with rows that bring what is made of them; what is not there yet is made first. */
  bring(job: Job<R>, environment: JobEnvironment, uses: readonly RowUse[]): Promise<Job<R>>;
  /** Device memory that the whole model takes to be used, without a budget. */
  inferenceBytes(job: Job<R>, profile: DeviceProfile): Promise<number>;
  /** Bytes of each file that is kept on disk for it. */
  keptFiles(job: Job<R>, dtype: HostDType): readonly number[];
}

/** Everything that the stages need to know, decided before a device is touched. */
export interface Job<R extends TaskRows = TaskRows> extends AsyncDisposable {
  readonly options: JobOptions;
  readonly whole: Model;
  /** First blocks of it that run once a row of theirs: 0 where they run at every step. */
  readonly frontBlocks: number;
  /** Without them: what the job's stages run. */
  readonly model: Model;
  readonly task: JobTask<R>;
  readonly trainRows: R;
  /** null: nothing is to be shown. */
  readonly sampler: JobSampler | null;
  readonly calibration: TaskBatches<R>;
  readonly validation: TaskBatches<R>;
  /** Tokens of the longest row of all: some rotary tables depend on it. */
  readonly longestRow: number;
  readonly training: TrainingPlan;
  /** What training begins from; null: a fresh adapter. */
  readonly start: GivenStart | null;
  /** Null: no refinement. */
  readonly refinement: TrainingPlan | null;
  /** Empty at ratio 1: plain LoRA on the original. With levels those of the finest emulator. */
  readonly emulated: readonly EmulatedLinear[];
  /** Parts of `training`, each on an emulator of its own; null: there is one. */
  readonly levels: readonly EmulatorLevel[] | null;
  readonly report: JobReport;
  /**
   * The job's rows with other steps, or trained on something else: for planning. null: no rule says
   * what equals what for jobs of this kind.
   */
  readonly variant: ((changes: WayOptions) => Job<R>) | null;
  /** Name of the job: a hash of everything that decides its result. */
  readonly id: string;
  close(): Promise<void>;
}

/** What differs between ways to train one job. */
type WayOptions = Partial<
  Pick<
    JobOptions,
    | 'method'
    | 'ratios'
    | 'levels'
    | 'steps'
    | 'epochs'
    | 'refineSteps'
    | 'useDora'
    | 'anchorSteps'
    | 'anchorRows'
  >
>;

/** Shows what a model has learned, by what it makes. */
export interface JobSampler {
  /** Of training; null: before and after it only. */
  readonly everySteps: number | null;
  /**
   * @param moment steps of training that are done, 0 before the first; or with the result
   * @param sampled the model behind its front, on the device
   */
  make(
    moment: number | 'final',
    sampled: { readonly model: PagedModel; readonly adapter: DeviceAdapter | null },
  ): Promise<unknown>;
}

/** How a job is prepared. */
export interface PrepareHost {
  /** Where rows are read: by default in this thread, which is busy meanwhile. */
  readonly openDataset?: OpenDatasetSession;
  /** Whether images must lie beside the rows that name them: where the rows are somebody else's. */
  readonly restrictImages?: boolean;
  readonly signal?: AbortSignal;
}

/** What the owner of a job should know of its model, and of the adapter that comes of it. */
export function modelNotices({ model: { notices, layout } }: Job): readonly string[] {
  return layout.adapterNotice === undefined ? notices : [...notices, layout.adapterNotice];
}

/** What the owner of a job should know of model and rows; holds nothing that stands in rows. */
export function jobNotices(job: Job): string[] {
  return [...modelNotices(job), ...reportWarnings(job.report)];
}

/**
 * The adapter that training starts from, but for magnitudes of a fresh one; where it is only
 * planned, one of its sizes.
 */
export function startingAdapter(
  { options, model: { layout }, start: given }: Job,
  { reads = 'real' }: { readonly reads?: 'real' | 'none' } = {},
): LoraAdapter {
  const { rank, alpha, useRslora, useDora, targets, seed } = options;
  const start = layout.diffusion ? 'gaussian' : 'uniform';
  const config = { rank, alpha, useRslora, useDora, targets, start } as const;
  if (reads === 'none') return blankAdapter(layout, config);
  return given?.adapter ?? initialAdapter(layout, config, seed);
}

/** Rows in order, `batchRows` to a batch. */
export function inOrder<R extends TaskRows>(source: R, batchRows: number): TaskBatches<R> {
  return { source, rows: consecutive(source.count, batchRows) };
}

/** The rows that a use reads, by number; of training and refinement those of the covering steps. */
export function rowsFor<R extends TaskRows>(
  job: Job<R>,
  use: RowUse,
): { readonly source: R; readonly numbers: readonly number[] } {
  const { trainRows: source, calibration, validation, training, refinement, emulated } = job;
  switch (use) {
    case 'calibration': {
      const numbers = emulated.length > 0 ? calibration.rows.flat() : [];
      return { source: calibration.source, numbers };
    }
    case 'training':
      return { source, numbers: coveringRows(training) };
    case 'refinement':
      return { source, numbers: refinement ? coveringRows(refinement) : [] };
    case 'validation':
      return { source: validation.source, numbers: validation.rows.flat() };
  }
}

/** The steps of a plan without what anchors read of each other's. */
export function ownBatches({ batches, anchors }: TrainingPlan): StepBatches {
  return anchors?.own ?? batches;
}

function coveringRows(plan: TrainingPlan): readonly number[] {
  return [...coveringBatches(ownBatches(plan))].flat();
}

/** What is left of a model whose first blocks run once. */
export function behindFront(model: Model, frontBlocks: number): Model {
  if (frontBlocks === 0) return model;
  const { layout, pages } = restOf(model.layout, frontBlocks);
  return { ...model, layout, source: pagesSource(model.source, pages) };
}

/** The job with another source of its whole model's pages. */
export function onModel(job: Job, whole: Model): Job {
  return { ...job, whole, model: behindFront(whole, job.frontBlocks) };
}

/** Changes where kept progress means something else than before: 2 counts the chain's blocks. */
const progressFormat = 2;

/** The name of a job: a hash of everything that decides its result. */
export async function jobId(
  options: JobOptions,
  model: Model,
  { datasets, start }: { readonly datasets: readonly string[]; readonly start: GivenStart | null },
): Promise<string> {
  const fingerprint = await model.checkpoint.fingerprint();
  const read = [fingerprint, datasets, ...(start ? [start.sha256] : [])];
  return createHash('sha256')
    .update(JSON.stringify([decidingOptions(options), ...read, progressFormat]))
    .digest('hex')
    .slice(0, 16);
}
