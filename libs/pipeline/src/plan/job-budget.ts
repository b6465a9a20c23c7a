import type { DeviceProfile } from '@emloc/device';

import type { Job } from '../job/job.js';
import { fitMemory } from './plan.js';

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
