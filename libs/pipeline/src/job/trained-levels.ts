import { at } from '@emloc/checked';
import type { DeviceProfile } from '@emloc/device';

import type { TrainedLevel } from '../stages/training-steps.js';
import type { EmulatedLinear } from './emulated-linear.js';
import { emulatorSource, type FactorStore } from './factor-store.js';
import type { Job } from './job.js';
import { nestedFactors } from './nested-factors.js';
import { trainedOriginal } from './storage.js';

/** What a job trains on: the original at ratio 1, its emulator, or that as its levels have it. */
export function trainedLevels(
  job: Job,
  { store, profile }: { store: Pick<FactorStore, 'read'>; profile: DeviceProfile },
): readonly TrainedLevel[] {
  const { emulated: finest, levels, training } = job;
  const all = training.batches.length;
  if (finest.length === 0) return [{ source: trainedOriginal(job), emulated: [], steps: all }];
  return (levels ?? [{ emulated: finest, steps: all }]).map(({ emulated, steps }) => ({
    source: emulatorSource(job, emulated, {
      // The finest level reads factors as they are.
      store: isEqual(emulated, finest)
        ? store
        : nestedFactors(store, { finest, emulated, profile }),
      profile,
    }),
    emulated,
    steps,
  }));
}

function isEqual(emulated: readonly EmulatedLinear[], finest: readonly EmulatedLinear[]): boolean {
  return emulated.every(({ rank }, index) => rank === at(finest, index).rank);
}
