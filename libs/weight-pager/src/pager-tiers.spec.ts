import { Device, formatBytes, MemoryBudget } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';

import { seededRandom } from '../test/random.js';
import { simulatedProfile } from '../test/simulated-backend.js';
import { SimulatedSource } from '../test/simulated-source.js';
import { layerBytes, nothingLeft, openSmallPager } from '../test/small-pager.js';
import { minimumDeviceBytes, openPager, streamingHostBytes, type PagerEvent } from './index.js';

describe('pager tiers', () => {
  test('with room for all, each layer is read and copied once and host memory is given back', async () => {
    const { pager, backend, device, source, use, leftovers } = openSmallPager(4, { slots: 4 });
    pager.schedule([0, 1, 2, 3], 5);
    for (let pass = 0; pass < 5; pass += 1) for (const layer of [0, 1, 2, 3]) await use(layer);
    expect(source.reads).toEqual([1, 1, 1, 1]);
    await device.synchronize();
    await new Promise(setImmediate);
    expect(backend.liveHostBytes).toBe(0);
    expect(backend.peakHostBytes).toBeLessThanOrEqual(2 * layerBytes);
    expect(pager.statistics).toMatchObject({
      pageIns: 4,
      pageOuts: 0,
      acquisitions: 20,
      hits: 20,
      deviceBytes: 4 * layerBytes,
      deviceBudgetBytes: 4 * layerBytes,
      hostBytes: 0,
      diskBytes: 4 * layerBytes,
      bytesMoved: { diskToHost: 4 * layerBytes, hostToDevice: 4 * layerBytes },
    });
    expect(await leftovers()).toEqual(nothingLeft);
    expect(pager.statistics.deviceBytes).toBe(0);
  });

  test('a host tier as large as the model is filled from disk once', async () => {
    const { pager, source, use, leftovers } = openSmallPager(5, { slots: 2, hostSlots: 5 });
    pager.schedule([0, 1, 2, 3, 4], 4);
    for (let pass = 0; pass < 4; pass += 1) for (const layer of [0, 1, 2, 3, 4]) await use(layer);
    expect(source.reads).toEqual([1, 1, 1, 1, 1]);
    expect(pager.statistics.hostBytes).toBe(5 * layerBytes);
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('a host tier of one buffer streams from disk, reusing the buffer', async () => {
    const { pager, backend, source, use, leftovers } = openSmallPager(5, {
      slots: 2,
      hostSlots: 1,
    });
    pager.schedule([0, 1, 2, 3, 4], 3);
    for (let pass = 0; pass < 3; pass += 1) for (const layer of [0, 1, 2, 3, 4]) await use(layer);
    expect(source.reads.reduce((sum, reads) => sum + reads, 0)).toBe(pager.statistics.pageIns);
    expect(backend.hostAllocations).toBe(1);
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('layers that are used once need four buffers of the largest, a share of the limit, and always room for one', () => {
    const source = new SimulatedSource([[16], [64], [32]], seededRandom(0));
    const sizes = [
      [Number.POSITIVE_INFINITY, 1],
      [2048, 1],
      [1000, 1],
      [1000, 1 / 2],
      [300, 1 / 4],
      [100, 1],
    ] as const;
    expect(sizes.map(([limit, share]) => streamingHostBytes(source, limit, share))).toEqual([
      1024, 1024, 1000, 500, 256, 100,
    ]);
  });

  test('a larger host tier reads less', async () => {
    const reads: number[] = [];
    for (const hostSlots of [2, 4, 6, 8]) {
      const { pager, source, use, leftovers } = openSmallPager(8, { slots: 2, hostSlots });
      const order = [0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1];
      pager.schedule(order, 3);
      for (let pass = 0; pass < 3; pass += 1) for (const layer of order) await use(layer);
      reads.push(source.reads.reduce((sum, count) => sum + count, 0));
      expect(await leftovers()).toEqual(nothingLeft);
    }
    expect(reads).toEqual([...reads].sort((a, b) => b - a));
    expect([new Set(reads).size, reads.at(-1)]).toEqual([4, 8]);
  });

  test('the next layer is on its way while one is leased; without prefetch it is not', async () => {
    for (const prefetch of [true, false]) {
      const { pager, source, leftovers } = openSmallPager(4, { slots: 2, prefetch });
      pager.schedule([0, 1, 2, 3]);
      (await pager.acquire(0)).release();
      const lease = await pager.acquire(1);
      for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
      expect([prefetch, source.reads[2]]).toEqual([prefetch, prefetch ? 1 : 0]);
      expect(pager.statistics.hits).toBe(prefetch ? 2 : 0);
      expect(pager.statistics.stallSeconds).toBeGreaterThan(0);
      lease.release();
      expect(await leftovers()).toEqual(nothingLeft);
    }
  });

  test('concurrent acquisitions of one layer share it until the last is released', async () => {
    const { pager, source, use, leftovers } = openSmallPager(2, { slots: 1 });
    const [first, second] = await Promise.all([pager.acquire(0), pager.acquire(0)]);
    expect([second.tensors, source.reads]).toEqual([first.tensors, [1, 0]]);
    first.release();
    first.release();
    await expect(pager.acquire(1)).rejects.toMatchObject({ code: 'PAGER_OUT_OF_BUDGET' });
    second.release();
    await use(1);
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('a layer that can never fit is refused with its name, need and limit', async () => {
    const device = new Device(
      createNullBackend(simulatedProfile),
      new MemoryBudget(Number.POSITIVE_INFINITY),
    );
    const source = new SimulatedSource([[16], [64]], seededRandom(0));
    const open = (deviceBytes: number, hostBytes: number) =>
      openPager({ device, source, deviceBytes, hostBytes });
    const small = open(128, 1024);
    expect(() => small.schedule([0, 1])).toThrow(
      'pager: layer 1 (layers.1) needs 256 B on the device, the limit is 128 B',
    );
    await expect(small.acquire(1)).rejects.toMatchObject({ code: 'PAGER_OUT_OF_BUDGET' });
    const unstaged = open(1024, 128);
    await expect(unstaged.acquire(1)).rejects.toThrow(
      `pager: layer 1 (layers.1) needs ${formatBytes(256)} in host memory, the limit is 128 B`,
    );
    (await small.acquire(0)).release();
    for (const [deviceBytes, hostBytes] of [
      [0, 1],
      [1, -1],
      [Number.NaN, 1],
    ] as const) {
      expect(() => open(deviceBytes, hostBytes)).toThrow(
        expect.objectContaining({ code: 'PAGER_INVALID_OPTIONS' }),
      );
    }
    await Promise.all([small.close(), unstaged.close()]);
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
  });

  test('reservations are booked under the category and released at once when the pager closes', async () => {
    const { pager, device, leftovers } = openSmallPager(2, { slots: 2, category: 'factors' });
    pager.schedule([0, 1]);
    expect([device.budget.inUseBytesOf('factors'), device.budget.inUseBytesOf('weights')]).toEqual([
      2 * layerBytes,
      0,
    ]);
    const closing = leftovers();
    expect(device.budget.inUseBytes).toBe(0);
    expect(await closing).toEqual(nothingLeft);
  });

  test('planning uploads every page-in without reading, and observers see each event with its bytes', async () => {
    const backend = createNullBackend(simulatedProfile);
    const device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
    const source = new SimulatedSource([[16], [10, 6], [16]], seededRandom(0));
    const events: PagerEvent[] = [];
    const pager = openPager({
      device,
      source,
      deviceBytes: minimumDeviceBytes(source, device),
      hostBytes: 1,
      reads: 'none',
      observer: (event) => void events.push(event),
    });
    pager.schedule([0, 1, 2], 2);
    for (const layer of [0, 1, 2, 0, 1, 2]) (await pager.acquire(layer)).release();
    const { pageIns, pageOuts, bytesMoved } = pager.statistics;
    expect(source.reads).toEqual([0, 0, 0]);
    expect(pageOuts).toBe(pageIns - 2);
    expect(bytesMoved).toEqual({ diskToHost: 0, hostToDevice: 64 * pageIns });
    expect(backend.transferred.uploaded).toEqual({ compute: 0, copy: 64 * pageIns });
    expect(events.filter(({ type }) => type === 'page-in')).toHaveLength(pageIns);
    expect(events[1]).toEqual({ type: 'page-in', layer: 1, bytes: 80 });
    await pager.close();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
  });
});
