import type { Device, DeviceProfile, DeviceRates } from '@emloc/device';

import { leanMemoryPlan } from '../job/environment.js';
import type { Job } from '../job/job.js';
import { createNullRun } from './null-run.js';
import { rehearseTraining } from './rehearse-training.js';
import { timeHost } from './time-launches.js';

/** Steps by which it is timed what the program does for a launch; the first ones are slower. */
const rehearsedSteps = 6;

/**
 * Rates with what launches take the host: the program, as some steps of the job on no device take
 * it, and the driver. As given where launches are not made apart from the host.
 */
export async function withLaunchRates(
  device: Device,
  job: Job,
  { rates, signal }: { readonly rates: DeviceRates; readonly signal?: AbortSignal },
): Promise<DeviceRates> {
  if (!device.recorder) return rates;
  const program = await programSecondsPerLaunch(device.profile, job, signal);
  return { ...rates, launches: await timeHost(device, program) };
}

/** The mean: in a job most of what is launched one by one is launched in its first steps. */
async function programSecondsPerLaunch(
  profile: DeviceProfile,
  job: Job,
  signal: AbortSignal | undefined,
): Promise<number> {
  await using run = createNullRun(job, {
    profile: { ...profile, launchOperations: 0 },
    memory: { ...leanMemoryPlan, train: { pagerBytes: Infinity, keptBlocks: 0 } },
    mostSteps: rehearsedSteps,
    signal,
  });
  const started = performance.now();
  await rehearseTraining(run, { job, stage: 'train', plan: job.training });
  return (performance.now() - started) / 1000 / Math.max(1, run.backend.launches.issued);
}
