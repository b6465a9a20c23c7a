import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { firstError } from '@emloc/checked';
import {
  CheckpointError,
  FileHasher,
  hiddenPath,
  settleOutput,
  type OutputPlace,
} from '@emloc/checkpoint';
import {
  Device,
  DeviceError,
  MemoryBudget,
  type DeviceProfile,
  type DeviceRates,
  type DeviceTarget,
} from '@emloc/device';
import { EmulatorError } from '@emloc/emulator';
import { FinetuneError } from '@emloc/finetune';
import { LocalImageReader, type ImageReader } from '@emloc/images';
import type { PagerObserver } from '@emloc/weight-pager';

import { assertDiskSpace } from './disk/disk-space.js';
import {
  assertSameFiles,
  assertSameJob,
  findProgress,
  hasProgress,
  knownHashes,
  openJobFolder,
  type StartMode,
} from './disk/job-folder.js';
import { writeOutcome, type Provenance } from './disk/outcome.js';
import { asOutputError, assertFree, holdOutput } from './disk/output-folder.js';
import { PipelineError } from './errors.js';
import { assertSameWeights, guardJob } from './inputs/guard-job.js';
import { guardImages, isImageName } from './inputs/image-guard.js';
import { modelPaths, readInputFiles, type InputFile } from './inputs/input-files.js';
import { inputMismatchIn } from './inputs/tensor-guard.js';
import type { JobEnvironment } from './job/environment.js';
import type { EmulatorReport, JobResult, ValidationLosses } from './job/job-result.js';
import { modelNotices, type Job, type PrepareHost } from './job/job.js';
import type { JobObserver } from './job/observer.js';
import { prepareJob } from './job/prepare-job.js';
import { countsOf } from './job/report.js';
import { runJob } from './job/run-job.js';
import { StageClock, type StageReport } from './job/stage-clock.js';
import { endingNotice, type Ending } from './job/training-course.js';
import { assertInteger } from './options/checks.js';
import { defaultCheckpointSteps, type TuneOptions } from './options/resolve.js';
import { samplesIn } from './pictures/training-samples.js';
import { measureRates, type BenchmarkShape } from './plan/measure-rates.js';
import { planWays } from './plan/plan-ways.js';
import { fitMemory, planJob, requireMemory, type JobPlan, type PlanInputs } from './plan/plan.js';
import type { Way } from './plan/ways.js';

/** What a job runs on and who watches it. */
export interface TuneHost extends PrepareHost {
  readonly target: DeviceTarget;
  readonly provenance: Provenance;
  readonly observer?: JobObserver;
  /** Makes the observer of a pager that is opened. */
  readonly openPagerObserver?: () => PagerObserver;
  /** Where images are decoded: by default in this thread, which is busy meanwhile. */
  readonly openImages?: () => ImageReader;
  /** Whether an output folder that is there already is replaced. */
  readonly overwrite?: boolean;
  /**
   * What happens to the progress of an interrupted job beside the output. Default: `start`, where
   * it is an error.
   */
  readonly mode?: StartMode;
  /** Optimizer steps after which the state of training is kept. */
  readonly checkpointSteps?: number;
}

/**
 * The outcome of `tune` as it is printed. Losses are Σ NLL / Σ trained-on tokens of the validation
 * split.
 */
export interface TuneReport {
  readonly job: string;
  /** Of the rows' text, as `YYYY-MM-DD`. */
  readonly date: string;
  /** Rows of the data file. */
  readonly sourceRows: number;
  readonly droppedRows: number;
  readonly truncatedRows: number;
  /** The adapter's folder. */
  readonly adapter: string;
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  readonly stages: readonly StageReport[];
  readonly validation: ValidationLosses;
  readonly correction: {
    readonly chosen: string;
    readonly scores: Readonly<Record<string, number>>;
  } | null;
  readonly emulator: Pick<
    EmulatorReport,
    'parameters' | 'originalParameters' | 'worstLayer'
  > | null;
  readonly train: {
    readonly steps: number;
    readonly tokens: number;
    readonly tokensPerSecond: number;
    readonly finalLoss: number;
  };
  readonly ending: Ending;
  readonly courses: JobResult['courses'];
}

/**
 * The whole job in this process, from the checks to the adapter's folder. The device is taken after
 * all checks. Progress is kept beside the output while the job runs, and where it is interrupted; a
 * run with `mode: 'resume'` goes on from there to the same bytes.
 * @throws the typed errors of every part; PipelineError PIPELINE_INTERRUPTED when aborted, whose
 * causes end in the signal's reason
 */
export async function tune(options: TuneOptions, host: TuneHost): Promise<TuneReport> {
  assertInteger('checkpointSteps', host.checkpointSteps ?? defaultCheckpointSteps, 1);
  await using place = await holdOutput(options.out);
  await assertFree(place, host.overwrite ?? false);
  const progress = hiddenPath(place, 'job');
  const found = await findProgress(progress, host.mode ?? 'start');
  await settleOutput(options.model);
  const inputs = await readInputFiles(options);
  const doubtful = found && assertSameFiles(found, inputs);
  await using job = await prepareJob(
    { ...options, date: options.date ?? found?.date ?? null },
    host,
  );
  await using hasher = new FileHasher();
  if (found) assertSameJob(found, { job: job.id, date: job.options.date, ...host.provenance });
  const known = found ? await knownHashes(progress) : new Map<string, string>();
  if (doubtful) {
    const files = await modelPaths(doubtful, options.model);
    await assertSameWeights(job, { files, hasher, known });
  }
  return await tuneJob(job, { host, place, inputs, hasher, known, isResumed: found !== null });
}

/** What one run of a job has beside the job. */
interface TuneRun {
  readonly host: TuneHost;
  readonly place: OutputPlace;
  readonly inputs: readonly InputFile[];
  readonly hasher: FileHasher;
  /** Hashes of tensors that earlier runs have read. */
  readonly known: ReadonlyMap<string, string>;
  readonly isResumed: boolean;
}

/** The budget that a job runs in: the given one, or what inference would take. */
export async function budgetBytesOf(job: Job, profile: DeviceProfile): Promise<number> {
  const { vramBytes, samplePrompts } = job.options;
  if (vramBytes !== null) return vramBytes;
  const inferenceBytes = await job.task.inferenceBytes(job, profile);
  if (samplePrompts.length === 0) return inferenceBytes;
  // Samples are decoded beside what is on the device.
  const budgetBytes = Number.POSITIVE_INFINITY;
  const { neededBytes } = await fitMemory({ job, profile, budgetBytes });
  return Math.max(inferenceBytes, neededBytes);
}

/**
 * Peaks and times of a job on a device with the target's profile. The device is opened only to see
 * how fast it is.
 */
export async function planTune(
  options: TuneOptions,
  target: DeviceTarget,
  host: PlanHost = {},
): Promise<JobPlan> {
  return await withPlanned(options, target, host, planJob);
}

/**
 * As `planTune`, and what other ways to train the same steps would take.
 * @returns ways null where there are no others
 */
export async function planTuneWays(
  options: TuneOptions,
  target: DeviceTarget,
  host: PlanHost = {},
): Promise<{ readonly plan: JobPlan; readonly ways: readonly Way[] | null }> {
  return await withPlanned(options, target, host, async (inputs) => {
    const plan = await planJob(inputs);
    return { plan, ways: await planWays(inputs, plan) };
  });
}

/** How a job is prepared for a plan, and who hears of its model. */
type PlanHost = PrepareHost & { readonly onNotice?: (message: string) => void };

async function withPlanned<T>(
  options: TuneOptions,
  target: DeviceTarget,
  { onNotice, ...host }: PlanHost,
  plan: (inputs: PlanInputs & { readonly rates: DeviceRates }) => Promise<T>,
): Promise<T> {
  await using job = await prepareJob(options, host);
  for (const notice of job.model.notices) onNotice?.(notice);
  const rates = await ratesOf(job, target);
  const budgetBytes = await budgetBytesOf(job, target.profile);
  return await plan({ job, profile: target.profile, budgetBytes, rates });
}

async function ratesOf(job: Job, target: DeviceTarget): Promise<DeviceRates> {
  let device: Device;
  try {
    device = new Device(
      await target.open(Number.POSITIVE_INFINITY),
      new MemoryBudget(Number.POSITIVE_INFINITY),
    );
  } catch (error) {
    if (
      target.ratesElsewhere &&
      error instanceof DeviceError &&
      error.code === 'DEVICE_UNAVAILABLE'
    )
      return target.ratesElsewhere;
    throw error;
  }
  await using opened = device;
  return await measureRates(opened, benchmarkShape(job));
}

/** The shapes of a job's average micro-batch. */
function benchmarkShape(job: Job): BenchmarkShape {
  const { trainRows } = job;
  return {
    layout: job.model.layout,
    sequences: Math.min(job.options.batch, 16),
    loraRank: job.options.rank,
    sequenceLength: Math.max(2, sequenceLength(trainRows)),
  };
}

/** Of an average text, or of a picture with its prompt, whichever layout has most rows. */
function sequenceLength(rows: Job['trainRows']): number {
  const { layouts, items } = rows.shape([0]);
  const lengths = [...layouts.values()].map((offsets) => offsets.at(-1) ?? 0);
  return items === 1
    ? lengths.reduce((most, length) => Math.max(most, length), 0)
    : Math.round(rows.items / rows.count);
}

async function tuneJob(job: Job, run: TuneRun): Promise<TuneReport> {
  const { options } = job;
  const { host, place } = run;
  const { profile } = host.target;
  const observer = host.observer ?? (() => undefined);
  const budgetBytes = await budgetBytesOf(job, profile);
  for (const message of modelNotices(job)) observer({ type: 'notice', message });
  observer({
    type: 'prepared',
    job: job.id,
    budgetBytes,
    trainRows: job.trainRows.count,
    report: job.report,
    date: options.date,
  });
  const memory = await requireMemory({ job, profile, budgetBytes });
  const path = hiddenPath(place, 'job');
  const { checkpointSteps = defaultCheckpointSteps } = host;
  const { inputs, isResumed } = run;
  await assertDiskSpace(job, place, { profile, inputs, checkpointSteps, isResumed });
  host.signal?.throwIfAborted();
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await host.target.open(budgetBytes), budget);
  try {
    const { provenance, openImages = (): ImageReader => new LocalImageReader() } = host;
    await using folder = await openJobFolder(
      { path, job, profile, provenance, inputs, checkpointSteps },
      isResumed,
    );
    using clock = new StageClock(budget, { observer });
    const { factors, training, outcomes } = folder;
    const remember = async (name: string, hash: string): Promise<string> => {
      const before = run.known.get(name);
      if (before === undefined) await folder.hashes.add(name, hash);
      return before ?? hash;
    };
    const guarded = guardJob(job, { hasher: run.hasher, remember });
    await using reader = openImages();
    const environment: JobEnvironment = {
      device,
      clock,
      memory,
      observer,
      factors,
      training,
      images: { reader, folder: path, onImage: guardImages(remember) },
      reads: 'real',
      hostBytes: options.hostBytes,
      prefetch: options.prefetch,
      openPagerObserver: host.openPagerObserver,
      signal: host.signal,
    };
    const result = await runJob({ job: guarded.job, environment }, outcomes);
    const losses = { base: result.validation.base, final: result.resultLoss };
    const message = endingNotice(result.ending, losses);
    if (message !== null) observer({ type: 'notice', message });
    await guarded.checkRest([...run.known.keys()].filter((name) => !isImageName(name)));
    await folder.close();
    const samples = await samplesIn(path);
    const overwrite = host.overwrite ?? false;
    await writeOutcome(place, job, { result, provenance, overwrite, samples });
    await rm(path, { recursive: true, force: true });
    return reportOf(job, result, { budget, stages: clock.reports() });
  } catch (thrown) {
    const error = firstError(thrown);
    throw await unfinished(inputMismatchIn(error) ?? asOutputError(error), { path, host });
  }
}

/**
 * Keeps the progress of a job that can go on, and throws away that of one which cannot. Returns
 * what to throw.
 */
async function unfinished(
  error: unknown,
  { path, host: { signal, observer } }: { path: string; host: TuneHost },
): Promise<unknown> {
  const failsAgain = !signal?.aborted && isOfTheInputs(error);
  const isKept = !failsAgain && (await hasProgress(path));
  if (!isKept) await rm(path, { recursive: true, force: true });
  if (signal?.aborted) {
    const hint = isKept
      ? 'the same command with --resume goes on from there'
      : 'nothing was done yet that could be kept';
    return new PipelineError('PIPELINE_INTERRUPTED', `interrupted; ${hint}`, { cause: error });
  }
  if (isKept && !inputMismatchIn(error))
    observer?.({
      type: 'notice',
      message: 'what is done so far is kept; the same command with --resume goes on from there',
    });
  return error;
}

/** Whether the same job would fail again: its numbers diverge, or a weight is not finite. */
function isOfTheInputs(error: unknown): boolean {
  if (error instanceof FinetuneError || error instanceof EmulatorError) return true;
  if (error instanceof CheckpointError) return error.isOfTheData;
  return error instanceof Error && isOfTheInputs(error.cause);
}

function reportOf(
  job: Job,
  result: JobResult,
  { budget, stages }: { budget: MemoryBudget; stages: readonly StageReport[] },
): TuneReport {
  const { train, emulator } = result;
  return {
    job: job.id,
    date: job.options.date,
    ...countsOf(job.report),
    adapter: resolve(job.options.out),
    budgetBytes: budget.totalBytes,
    peakDeviceBytes: budget.peakBytes,
    stages,
    validation: result.validation,
    correction: result.correction,
    emulator: emulator && {
      parameters: emulator.parameters,
      originalParameters: emulator.originalParameters,
      worstLayer: emulator.worstLayer,
    },
    train: {
      steps: train.steps,
      tokens: train.tokens,
      tokensPerSecond: train.tokens / train.seconds,
      finalLoss: train.finalLoss,
    },
    ending: result.ending,
    courses: result.courses,
  };
}
