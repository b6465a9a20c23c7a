import { Device, MemoryBudget, type DeviceProfile, type MemoryCategory } from '@emloc/device';
import { createNullBackend, type NullBackend } from '@emloc/device-null';

import { leanMemoryPlan, type JobEnvironment, type MemoryPlan } from '../job/environment.js';
import { plannedFactorStore } from '../job/factor-store.js';
import type { JobRun } from '../job/job-run.js';
import type { Job } from '../job/job.js';
import { StageClock, type StageClockOptions } from '../job/stage-clock.js';
import { noTrainingStore } from '../job/training-store.js';

/** A rehearsal of a job on the null device. */
export interface NullRun extends JobRun, AsyncDisposable {
  readonly backend: NullBackend;
  readonly budget: MemoryBudget;
  close(): Promise<void>;
}

export interface NullRunOptions {
  readonly profile: DeviceProfile;
  /** Default: as little for weights as possible, nothing kept. */
  readonly memory?: MemoryPlan;
  /** Default: none. */
  readonly budgetBytes?: number;
  readonly prefetch?: boolean;
  readonly exclude?: readonly MemoryCategory[];
  readonly onTurn?: (backend: NullBackend) => NonNullable<StageClockOptions['onTurn']>;
  readonly signal?: AbortSignal;
  /** Default: all. */
  readonly mostSteps?: number;
  readonly onPart?: JobEnvironment['onPart'];
  readonly onTimes?: JobEnvironment['onTimes'];
}

/**
 * Opens a null device with another device's profile. Host memory has no limit there, and no weight
 * is read.
 */
export function createNullRun(job: Job, options: NullRunOptions): NullRun {
  const backend = createNullBackend(options.profile);
  const budget = new MemoryBudget(options.budgetBytes ?? Number.POSITIVE_INFINITY);
  const device = new Device(backend, budget);
  const onTurn = options.onTurn?.(backend);
  const run = rehearsalOn(device, job, { ...options, onTurn });
  const close = (): Promise<void> => device.close();
  return { ...run, backend, budget, close, [Symbol.asyncDispose]: close };
}

/** A job on a device as it is planned: no weight, no factor and no image is read. */
export function rehearsalOn(
  device: Device,
  job: Job,
  options: Omit<NullRunOptions, 'profile' | 'budgetBytes' | 'onTurn'> &
    Pick<StageClockOptions, 'onTurn'>,
): JobRun {
  const { exclude, onTurn } = options;
  const environment: JobEnvironment = {
    device,
    clock: new StageClock(device.budget, { exclude, onTurn }),
    memory: options.memory ?? leanMemoryPlan,
    factors: plannedFactorStore,
    training: noTrainingStore,
    images: null,
    reads: 'none',
    hostBytes: Number.POSITIVE_INFINITY,
    prefetch: options.prefetch ?? true,
    observer: () => undefined,
    signal: options.signal,
    mostSteps: options.mostSteps,
    onPart: options.onPart,
    onTimes: options.onTimes,
  };
  return { job: job.task.planned(job, device.profile.computeDType), environment };
}
