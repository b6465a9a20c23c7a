import { mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Backend, Device, DeviceError, type DeviceProfile, formatBytes, MemoryBudget } from '@emloc/device';
import type { PagerObserver } from '@emloc/weight-pager';
import { inferenceBytes } from './default-budget.js';
import { DiskFactorStore } from './disk-factor-store.js';
import type { JobEnvironment } from './environment.js';
import { PipelineError } from './errors.js';
import { factorBytes } from './factor-store.js';
import { type Job, prepareJob } from './job.js';
import type { JobObserver } from './observer.js';
import type { TuneOptions } from './options.js';
import { type Provenance, writeOutcome } from './outcome.js';
import { type BenchmarkShape, measureRates } from './measure-rates.js';
import { type JobPlan, planJob, requireMemory } from './plan.js';
import type { DeviceRates } from './rates.js';
import { type EmulatorReport, type JobResult, runJob, type ValidationLosses } from './run-job.js';
import { StageClock, type StageReport } from './stage-clock.js';
import { noTrainingStore } from './training-store.js';

/** A device that can be had: its profile before it is taken, a backend when it is needed. */
export interface DeviceTarget {
  readonly profile: DeviceProfile;
  /**
   * @param budgetBytes what the process may take on the device
   * @throws DeviceError DEVICE_UNAVAILABLE
   */
  open(budgetBytes: number): Promise<Backend>;
  /** How fast the device is, roughly, for plans on a machine that does not have it. */
  readonly ratesElsewhere?: DeviceRates;
}

/** What a job runs on and who watches it. */
export interface TuneHost {
  readonly target: DeviceTarget;
  readonly provenance: Provenance;
  readonly observer?: JobObserver;
  readonly pagerObserver?: PagerObserver;
  readonly signal?: AbortSignal;
  /** Whether an output folder that is there already is replaced. */
  readonly overwrite?: boolean;
}

/** The outcome of `tune` as it is printed. Losses are Σ NLL / Σ trained-on tokens of the validation split. */
export interface TuneReport {
  readonly job: string;
  /** The adapter's folder. */
  readonly adapter: string;
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  readonly stages: readonly StageReport[];
  readonly validation: ValidationLosses;
  readonly correction: { readonly chosen: string; readonly scores: Readonly<Record<string, number>> } | null;
  readonly emulator: Pick<EmulatorReport, 'parameters' | 'originalParameters' | 'worstLayer'> | null;
  readonly train: { readonly steps: number; readonly tokens: number; readonly tokensPerSecond: number; readonly finalLoss: number };
}

/** The whole job in this process, from the checks to the adapter's folder. The device is taken after all checks. @throws the typed errors of every part */
export async function tune(options: TuneOptions, host: TuneHost): Promise<TuneReport> {
  await assertWritable(options.out, host.overwrite ?? false);
  const job = await prepareJob(options);
  try {
    return await tuneJob(job, host);
  } finally {
    await job.close();
  }
}

/** The budget that a job runs in: the given one, or what inference would take. */
export function budgetBytesOf(job: Job, profile: DeviceProfile): Promise<number> {
  const { vramBytes, maxLength } = job.options;
  return vramBytes === null ? inferenceBytes(job.model, profile, maxLength) : Promise.resolve(vramBytes);
}

/** Peaks and times of a job on a device with the target's profile. The device is opened only to see how fast it is. */
export async function planTune(options: TuneOptions, target: DeviceTarget): Promise<JobPlan> {
  const job = await prepareJob(options);
  try {
    const rates = await ratesOf(job, target);
    const budgetBytes = await budgetBytesOf(job, target.profile);
    return await planJob({ job, profile: target.profile, budgetBytes, rates });
  } finally {
    await job.close();
  }
}

async function ratesOf(job: Job, target: DeviceTarget): Promise<DeviceRates> {
  let device: Device;
  try {
    device = new Device(await target.open(Number.POSITIVE_INFINITY), new MemoryBudget(Number.POSITIVE_INFINITY));
  } catch (error) {
    if (target.ratesElsewhere && error instanceof DeviceError && error.code === 'DEVICE_UNAVAILABLE') return target.ratesElsewhere;
    throw error;
  }
  try {
    return await measureRates(device, benchmarkShape(job));
  } finally {
    await device.close();
  }
}

/** The shapes of a job's average micro-batch. */
function benchmarkShape(job: Job): BenchmarkShape {
  const tokens = job.trainRows.reduce((sum, { ids }) => sum + ids.length, 0);
  return {
    layout: job.model.layout, sequences: Math.min(job.options.batch, 16), loraRank: job.options.rank,
    sequenceLength: Math.max(2, Math.round(tokens / job.trainRows.length)),
  };
}

async function tuneJob(job: Job, host: TuneHost): Promise<TuneReport> {
  const { options } = job;
  const { profile } = host.target;
  const observer = host.observer ?? (() => undefined);
  const budgetBytes = await budgetBytesOf(job, profile);
  observer({ type: 'prepared', job: job.id, budgetBytes, trainRows: job.trainRows.length, train: job.report.train, validation: job.report.validation });
  const memory = await requireMemory({ job, profile, budgetBytes });
  const scratch = scratchFolder(options.out);
  await assertDiskSpace(job, profile);
  host.signal?.throwIfAborted();
  const budget = new MemoryBudget(budgetBytes);
  const device = new Device(await host.target.open(budgetBytes), budget);
  const clock = new StageClock(budget, { observer });
  const environment: JobEnvironment = {
    device, clock, memory, observer,
    factors: new DiskFactorStore(scratch, { emulated: job.emulated, profile }),
    training: noTrainingStore,
    reads: 'real',
    hostBytes: options.hostBytes,
    prefetch: options.prefetch,
    pagerObserver: host.pagerObserver,
    signal: host.signal,
  };
  try {
    const result = await runJob(environment, job);
    await environment.factors.close();
    await writeOutcome(options.out, job, { result, provenance: host.provenance });
    return reportOf(job, result, { budget, stages: clock.reports() });
  } finally {
    clock.leave();
    await environment.factors.close();
    await rm(scratch, { recursive: true, force: true });
    await device.close();
  }
}

function reportOf(job: Job, result: JobResult, { budget, stages }: { budget: MemoryBudget; stages: readonly StageReport[] }): TuneReport {
  const { train, emulator } = result;
  return {
    job: job.id,
    adapter: resolve(job.options.out),
    budgetBytes: budget.totalBytes,
    peakDeviceBytes: budget.peakBytes,
    stages,
    validation: result.validation,
    correction: result.correction,
    emulator: emulator && { parameters: emulator.parameters, originalParameters: emulator.originalParameters, worstLayer: emulator.worstLayer },
    train: { steps: train.steps, tokens: train.tokens, tokensPerSecond: train.tokens / train.seconds, finalLoss: train.finalLoss },
  };
}

/** Factors live beside the output while a job runs. */
function scratchFolder(out: string): string {
  const folder = resolve(out);
  return join(dirname(folder), `.${basename(folder)}.factors`);
}

async function assertWritable(out: string, overwrite: boolean): Promise<void> {
  const entries = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[];
    throw new PipelineError('PIPELINE_OUTPUT_EXISTS', `output ${out}: ${error.code === 'ENOTDIR' ? 'is a file' : error.message}`, { cause: error });
  });
  if (entries.length > 0 && !(overwrite && entries.includes('adapter_config.json'))) {
    const hint = overwrite ? 'and holds no adapter, so it is not replaced' : 'choose another, or allow it to be overwritten';
    throw new PipelineError('PIPELINE_OUTPUT_EXISTS', `output ${out}: the folder is not empty; ${hint}`);
  }
  await mkdir(dirname(resolve(out)), { recursive: true });
}

async function assertDiskSpace(job: Job, profile: DeviceProfile): Promise<void> {
  const adapterBytes = [...job.model.layout.linears].reduce((sum, { inFeatures, outFeatures }) => sum + inFeatures + outFeatures, 0) *
    job.model.layout.blockCount * job.options.rank * 4;
  const neededBytes = factorBytes(job.emulated, profile) + 2 * adapterBytes;
  const folder = dirname(resolve(job.options.out));
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= neededBytes) return;
  throw new PipelineError('PIPELINE_DISK_FULL', `${folder} has ${formatBytes(bavail * bsize)} free, factors and adapters need ${formatBytes(neededBytes)}`);
}
