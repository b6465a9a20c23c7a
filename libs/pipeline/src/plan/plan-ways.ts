import type { DeviceRates } from '@emloc/device';

import type { Job } from '../job/job.js';
import { planJob, residentBytes, type JobPlan, type PlanInputs } from './plan.js';
import { waysOf, type Way } from './ways.js';

/**
 * The ways to train a job's steps, beside the job's own plan. null: the job makes pictures, or its
 * steps are of several levels, which no other way has.
 */
export async function planWays(
  inputs: PlanInputs & { readonly rates: DeviceRates },
  planned: JobPlan,
): Promise<readonly Way[] | null> {
  const { job, profile } = inputs;
  if (job.model.layout.text === null || job.levels !== null) return null;
  const plain = plainLora(job);
  const hasEmulator = job.emulated.length > 0;
  return waysOf({
    emulator: hasEmulator ? planned : null,
    original: hasEmulator ? await planJob({ ...inputs, job: plain }) : planned,
    residentBytes: await residentBytes(plain, profile),
  });
}

/** The same steps on the original. */
function plainLora(job: Job): Job {
  return { ...job, emulated: [], refinement: null };
}
