import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { firstError } from '@emloc/checked';
import {
  CheckpointError,
  FileHasher,
  hiddenPath,
  logFileName,
  settleOutput,
  type OutputPlace,
} from '@emloc/checkpoint';
import { Device, MemoryBudget, type DeviceTarget } from '@emloc/device';
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
import { modelNotices, type Job, type PrepareHost } from './job/job.js';
import type { JobObserver } from './job/observer.js';
import { prepareJob } from './job/prepare-job.js';
import { runJob } from './job/run-job.js';
import { StageClock } from './job/stage-clock.js';
import { endingNotice } from './job/training-course.js';
import { reportOf, type TuneReport } from './job/tune-report.js';
import { assertInteger } from './options/checks.js';
import { defaultCheckpointSteps, type TuneOptions } from './options/resolve.js';
import { samplesIn } from './pictures/training-samples.js';
import { budgetBytesOf } from './plan/budget.js';
import { decideMethod, timedInputs } from './plan/decide-method.js';
import { requireMemory } from './plan/fit-memory.js';
import { isEstimated } from './plan/is-estimated.js';
import { choiceNotice, type MethodChoice } from './plan/method-choice.js';
import { planJob } from './plan/plan.js';

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
  /**
   * Whether the observer is told how long the stages will take, for which the device is measured
   * before. Jobs of little work are over sooner. Default: no.
   */
  readonly estimates?: boolean;
  /** Optimizer steps after which the state of training is kept. */
  readonly checkpointSteps?: number;
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
  for (const folder of [options.model, options.initAdapter ?? options.model])
    await settleOutput(folder);
  const inputs = await readInputFiles(options, host);
  const doubtful = found && assertSameFiles(found, inputs);
  const dated = { ...options, date: options.date ?? found?.date ?? null };
  const { decided, choice } = await decideMethod(dated, found?.choice ?? null, host);
  await using job = await prepareJob(decided, host);
  await using hasher = new FileHasher();
  if (found) assertSameJob(found, { job: job.id, date: job.options.date, ...host.provenance });
  const known = found ? await knownHashes(progress) : new Map<string, string>();
  if (doubtful) {
    const files = await modelPaths(doubtful, options.model);
    await assertSameWeights(job, { files, hasher, known });
  }
  const isResumed = found !== null;
  return await tuneJob(job, { host, place, inputs, choice, hasher, known, isResumed });
}

/** What one run of a job has beside the job. */
interface TuneRun {
  readonly host: TuneHost;
  readonly place: OutputPlace;
  readonly inputs: readonly InputFile[];
  /** What a plan has decided; null: nothing was left to decide. */
  readonly choice: MethodChoice | null;
  readonly hasher: FileHasher;
  /** Hashes of tensors that earlier runs have read. */
  readonly known: ReadonlyMap<string, string>;
  readonly isResumed: boolean;
}

async function tuneJob(job: Job, run: TuneRun): Promise<TuneReport> {
  const { options } = job;
  const { host, place } = run;
  const { profile } = host.target;
  const observer = host.observer ?? (() => undefined);
  const budgetBytes = await budgetBytesOf(job, profile);
  for (const message of modelNotices(job)) observer({ type: 'notice', message });
  if (run.choice) observer({ type: 'notice', message: choiceNotice(run.choice) });
  observer({
    type: 'prepared',
    job: job.id,
    budgetBytes,
    trainRows: job.trainRows.count,
    report: job.report,
    date: options.date,
  });
  const memory = await requireMemory({ job, profile, budgetBytes, signal: host.signal });
  const path = hiddenPath(place, 'job');
  const { checkpointSteps = defaultCheckpointSteps } = host;
  const { inputs, choice, isResumed } = run;
  await assertDiskSpace(job, place, { profile, inputs, checkpointSteps, isResumed });
  if (host.estimates && isEstimated(job)) {
    const { stages } = await planJob(await timedInputs(job, host.target, host.signal));
    observer({ type: 'estimate', stages });
  }
  host.signal?.throwIfAborted();
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await host.target.open(budgetBytes), budget);
  try {
    const { provenance, openImages = (): ImageReader => new LocalImageReader() } = host;
    await using folder = await openJobFolder(
      { path, job, profile, provenance, inputs, choice, checkpointSteps },
      isResumed,
    );
    const told: JobObserver = (event) => {
      folder.log.observe(event);
      observer(event);
    };
    using clock = new StageClock(budget, { observer: told });
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
      observer: told,
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
    const log = join(path, logFileName);
    await writeOutcome(place, job, { result, provenance, choice, overwrite, samples, log });
    await rm(path, { recursive: true, force: true });
    return reportOf(job, result, { budget, choice, stages: clock.reports() });
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
