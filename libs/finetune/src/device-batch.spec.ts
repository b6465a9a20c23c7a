import { get } from '@emloc/checked';
import { Device, MemoryBudget, type Grid } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import type { Batch } from '@emloc/models';

import { DeviceBatch } from './device-batch.js';

function batchOf(offsets: readonly number[], grids: readonly Grid[]): Batch {
  return {
    shape: {
      layouts: new Map([
        ['pixels', offsets],
        ['tokens', [0, 2]],
      ]),
      grids: new Map([['pixels', grids]]),
      ...{ integers: new Map(), values: new Map(), lossWeight: 0, items: 1 },
    },
    ...{ integers: new Map(), values: new Map() },
  };
}

describe('a batch on the device', () => {
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 20));
  const grids = [
    { height: 2, width: 3 },
    { height: 4, width: 1 },
  ];

  afterAll(() => device.close());

  it('has the images of the layouts whose rows are pixels', () => {
    using batch = new DeviceBatch(device, batchOf([0, 6, 10], grids));
    expect(get(batch.layouts, 'pixels').grids).toEqual(grids);
    expect(get(batch.layouts, 'tokens').grids).toBeUndefined();
  });

  it.each([
    ['an image of another size', [0, 5, 10]],
    ['fewer sequences than images', [0, 6]],
    ['more sequences than images', [0, 6, 10, 12]],
  ])('refuses %s, and leaves nothing', (_name, offsets) => {
    expect(() => new DeviceBatch(device, batchOf(offsets, grids))).toThrow(
      `a batch has ${offsets.length - 1} sequences of pixels and 2 grids, which differ`,
    );
    expect(device.liveTensors).toBe(0);
  });
});
