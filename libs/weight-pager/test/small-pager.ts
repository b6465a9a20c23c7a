import { Device, MemoryBudget } from '@emloc/device';

import { openPager, type PagerOptions } from '../src/index.js';
import { seededRandom } from './random.js';
import { SimulatedBackend } from './simulated-backend.js';
import { SimulatedSource } from './simulated-source.js';

/** Stored bytes, device bytes and host bytes of one layer of `openSmallPager`. */
export const layerBytes = 64;

/** A pager over equal layers of 64 bytes on a simulated device, with what tests look at. */
export function openSmallPager(
  layers: number,
  options: Partial<PagerOptions> & {
    readonly slots: number;
    readonly hostSlots?: number;
    readonly budgetBytes?: number;
    readonly seed?: number;
  },
) {
  const {
    slots,
    hostSlots = Number.POSITIVE_INFINITY,
    budgetBytes = Number.POSITIVE_INFINITY,
    seed = 1,
    ...rest
  } = options;
  const random = seededRandom(seed);
  const backend = new SimulatedBackend(random);
  const device = new Device(backend, new MemoryBudget(budgetBytes));
  const source = new SimulatedSource(
    Array.from({ length: layers }, () => [16]),
    random,
  );
  const pager = openPager({
    device,
    source,
    deviceBytes: slots * layerBytes,
    hostBytes: hostSlots * layerBytes,
    ...rest,
  });
  const use = async (layer: number): Promise<void> => (await pager.acquire(layer)).release();
  /** Closes the pager; what is left on device and host afterwards. */
  const leftovers = async () => {
    await pager.close();
    await device.synchronize();
    const { violations, liveHostBytes, liveEvents } = backend;
    return {
      violations,
      liveHostBytes,
      liveEvents,
      liveTensors: device.liveTensors,
      inUseBytes: device.budget.inUseBytes,
      runningReads: source.runningReads,
    };
  };
  return { pager, backend, device, source, use, leftovers };
}

export const nothingLeft = {
  violations: [],
  liveHostBytes: 0,
  liveEvents: 0,
  liveTensors: 0,
  inUseBytes: 0,
  runningReads: 0,
};
