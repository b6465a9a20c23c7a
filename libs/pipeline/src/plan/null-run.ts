import { Device, MemoryBudget, type DeviceProfile, type MemoryCategory } from '@emloc/device';
import { createNullBackend, type NullBackend } from '@emloc/device-null';

import { leanMemoryPlan, type JobEnvironment, type MemoryPlan } from '../job/environment.js';
import { plannedFactorStore } from '../job/factor-store.js';
import { StageClock, type StageClockOptions } from '../job/stage-clock.js';
import { noTrainingStore } from '../job/training-store.js';

/** What a rehearsal on the null device runs in. */
export interface NullRun {
  readonly backend: NullBackend;
  readonly budget: MemoryBudget;
  readonly environment: JobEnvironment;
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
}

/**
 * Opens a null device with another device's profile. Host memory has no limit there, and no weight
 * is read.
 */
export function createNullRun(options: NullRunOptions): NullRun {
  const backend = createNullBackend(options.profile);
  const budget = new MemoryBudget(options.budgetBytes ?? Number.POSITIVE_INFINITY);
  const device = new Device(backend, budget);
  const environment: JobEnvironment = {
    device,
    clock: new StageClock(budget, { exclude: options.exclude, onTurn: options.onTurn?.(backend) }),
    memory: options.memory ?? leanMemoryPlan,
    factors: plannedFactorStore,
    training: noTrainingStore,
    reads: 'none',
    hostBytes: Number.POSITIVE_INFINITY,
    prefetch: options.prefetch ?? true,
    observer: () => undefined,
  };
  return { backend, budget, environment, close: () => device.close() };
}
