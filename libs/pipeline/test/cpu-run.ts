import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';

import { leanMemoryPlan, type JobEnvironment } from '../src/job/environment.js';
import { plannedFactorStore } from '../src/job/factor-store.js';
import type { JobRun } from '../src/job/job-run.js';
import type { Job } from '../src/job/job.js';
import { StageClock } from '../src/job/stage-clock.js';
import { noTrainingStore } from '../src/job/training-store.js';

/** A run of stages on the CPU with as little memory as may be; its device is to be closed. */
export function cpuRun(
  job: Job,
  changes: Partial<JobEnvironment> = {},
  budgetBytes = 2 ** 30,
): JobRun {
  const budget = new MemoryBudget(budgetBytes);
  const environment: JobEnvironment = {
    device: new Device(createCpuBackend(), budget),
    clock: new StageClock(budget),
    memory: leanMemoryPlan,
    factors: plannedFactorStore,
    training: noTrainingStore,
    images: null,
    reads: 'real',
    hostBytes: Number.POSITIVE_INFINITY,
    prefetch: true,
    observer: () => undefined,
    ...changes,
  };
  return { job, environment };
}
