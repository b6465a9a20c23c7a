import type { DeviceProfile } from '@emloc/device';
import { launchBoundTokens } from '@emloc/finetune';

import type { EmulatedLinear } from './emulated-linear.js';
import type { Job } from './job.js';

/** Up to how many tokens batches are rounded that a job trains on; none emulated: the original. */
export function roundedTokens(
  { model }: Pick<Job, 'model'>,
  emulated: readonly EmulatedLinear[],
  profile: DeviceProfile,
): number {
  const ranks = new Map(emulated.map(({ path, rank }) => [path, rank]));
  const rankOf = (path: string): number | null => ranks.get(path) ?? null;
  return launchBoundTokens({ layout: model.layout, profile, rankOf });
}
