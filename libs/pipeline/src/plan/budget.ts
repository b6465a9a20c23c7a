import type { DeviceProfile } from '@emloc/device';

import type { Job } from '../job/job.js';
import { leastBudgetBytes } from './fit-memory.js';

/**
 * The budget that a job runs in: the given one, or what inference would take, or where that is too
 * little for a stage, the least that all of them can work in. It is so for small models, of which
 * gradients and what is kept for them are more than the weights.
 */
export async function budgetBytesOf(job: Job, profile: DeviceProfile): Promise<number> {
  const { vramBytes } = job.options;
  if (vramBytes !== null) return vramBytes;
  const inferenceBytes = await job.task.inferenceBytes(job, profile);
  return Math.max(inferenceBytes, await leastBudgetBytes(job, profile));
}
