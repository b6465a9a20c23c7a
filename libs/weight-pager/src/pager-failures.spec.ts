import { setImmediate as nextTurn } from 'node:timers/promises';
import { DeviceError } from '@emloc/device';

import { layerBytes, nothingLeft, openSmallPager } from '../test/small-pager.js';
import { PagerError } from './errors.js';

// Jest fails a test that leaves a rejection unhandled; this gives late ones the time to show.
afterEach(() => turns(3));

const failing = (layer: number, error: Error) => (read: number) => {
  if (read === layer) throw error;
};

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}

describe('pager whose reads fail', () => {
  test.each([true, false])(
    'reports at the acquisition of that layer and of no other (prefetch %s)',
    async (prefetch) => {
      const { pager, source, use, leftovers } = openSmallPager(4, { slots: 2, prefetch });
      const cause = new Error('bad sector');
      source.onRead = failing(2, cause);
      pager.schedule([0, 1, 2, 3]);
      await use(0);
      await turns(50);
      await use(1);
      const refused = pager.acquire(2);
      await expect(refused).rejects.toThrow(PagerError);
      await expect(refused).rejects.toMatchObject({
        code: 'PAGER_READ_FAILED',
        cause,
        message: 'pager: layer 2 (layers.2) could not be read: bad sector',
      });
      await use(3);
      expect(await leftovers()).toEqual(nothingLeft);
    },
  );

  test('passes on what the source says of its data', async () => {
    const { pager, source, leftovers } = openSmallPager(2, { slots: 2 });
    const cause = Object.assign(new Error('not finite'), { isOfTheData: true });
    source.onRead = failing(1, cause);
    await expect(pager.acquire(1)).rejects.toBe(cause);
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('a background failure that nobody asks for is of no consequence', async () => {
    const { pager, source, use, leftovers } = openSmallPager(3, { slots: 3 });
    source.onRead = failing(1, new Error('bad sector'));
    pager.schedule([0, 1, 2]);
    await use(0);
    await turns(20);
    pager.schedule([0, 2]);
    await use(0);
    await use(2);
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('a layer whose read failed is read again when it is acquired again', async () => {
    const { source, pager, use, leftovers } = openSmallPager(2, { slots: 1, hostSlots: 1 });
    source.onRead = failing(1, new Error('bad sector'));
    await expect(pager.acquire(1)).rejects.toMatchObject({ code: 'PAGER_READ_FAILED' });
    source.onRead = () => undefined;
    await use(1);
    await use(0);
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('random failures leave nothing behind and nothing hanging', async () => {
    for (let seed = 0; seed < 60; seed += 1) {
      const { pager, source, use, leftovers } = openSmallPager(5, {
        slots: 1 + (seed % 4),
        hostSlots: 1 + (seed % 3),
        seed,
        prefetch: seed % 2 === 0,
      });
      let reads = 0;
      source.onRead = () => {
        reads += 1;
        if ((reads * 7 + seed) % 5 === 0) throw new Error('bad sector');
      };
      const order = [0, 1, 2, 3, 4, 3, 2, 1];
      pager.schedule(order, 2);
      for (const layer of [...order, ...order]) {
        await use(layer).catch((error: unknown) =>
          expect(error).toMatchObject({ code: 'PAGER_READ_FAILED' }),
        );
      }
      expect([seed, await leftovers()]).toEqual([seed, nothingLeft]);
    }
  });
});

describe('pager that is stopped', () => {
  test('an abort ends a pending acquisition at once and starts no further read', async () => {
    const controller = new AbortController();
    const { pager, source, leftovers } = openSmallPager(4, {
      slots: 2,
      hostSlots: 1,
      signal: controller.signal,
    });
    let finishRead = (): void => undefined;
    source.onRead = () => new Promise((resolve) => (finishRead = resolve));
    pager.schedule([0, 1, 2, 3]);
    const pending = pager.acquire(0);
    await turns(3);
    const reason = new Error('user');
    controller.abort(reason);
    await expect(pending).rejects.toMatchObject({ code: 'PAGER_ABORTED', cause: reason });
    await expect(pager.acquire(0)).rejects.toMatchObject({ code: 'PAGER_ABORTED' });
    expect(() => pager.schedule([1])).toThrow(expect.objectContaining({ code: 'PAGER_ABORTED' }));
    const closing = leftovers();
    let isClosed = false;
    void closing.then(() => (isClosed = true));
    await turns(20);
    expect(isClosed).toBe(false);
    finishRead();
    expect(await closing).toEqual(nothingLeft);
    expect(source.reads).toEqual([1, 0, 0, 0]);
  });

  test('a signal that was aborted before refuses everything', async () => {
    const { pager, source, leftovers } = openSmallPager(2, {
      slots: 2,
      signal: AbortSignal.abort(),
    });
    expect(() => pager.schedule([0, 1])).toThrow('pager: aborted');
    await expect(pager.acquire(0)).rejects.toMatchObject({ code: 'PAGER_ABORTED' });
    expect(source.reads).toEqual([0, 0]);
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('closing at any moment takes leases, running reads and copies with it', async () => {
    for (let seed = 0; seed < 40; seed += 1) {
      const { pager, use, leftovers } = openSmallPager(5, {
        slots: 1 + (seed % 5),
        hostSlots: 1 + (seed % 3),
        seed,
      });
      pager.schedule([0, 1, 2, 3, 4], 2);
      await use(0);
      const lease = await pager.acquire(1);
      if (seed % 2 === 0) lease.release();
      const pending = seed % 3 === 0 ? pager.acquire(2) : null;
      pending?.catch(() => undefined);
      await turns(seed % 7);
      expect([seed, await leftovers()]).toEqual([seed, nothingLeft]);
      lease.release();
      await pager.close();
      await expect(pager.acquire(2)).rejects.toMatchObject({ code: 'PAGER_CLOSED' });
      await pending?.then(
        (late) => late.release(),
        (error: unknown) =>
          expect(error).toMatchObject({
            code: expect.stringMatching('PAGER_(CLOSED|OUT_OF_BUDGET)'),
          }),
      );
    }
  });
});

describe('pager on a failing device', () => {
  test('a copy that cannot be started is reported at the acquisition', async () => {
    const { pager, backend, use, leftovers } = openSmallPager(3, { slots: 2, prefetch: false });
    backend.uploadsUntilFailure = 1;
    pager.schedule([0, 1]);
    await use(0);
    await expect(pager.acquire(1)).rejects.toMatchObject({
      code: 'PAGER_COPY_FAILED',
      message: 'pager: layer 1 (layers.1) could not be copied to the device',
      cause: expect.objectContaining({ message: 'copy refused' }),
    });
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('a copy that fails later ends every acquisition after it', async () => {
    const { pager, backend, use, device } = openSmallPager(3, { slots: 1 });
    await use(0);
    backend.failure = new Error('device lost');
    await turns(100);
    const refused = pager.acquire(1);
    await expect(refused).rejects.toMatchObject({
      code: 'PAGER_COPY_FAILED',
      cause: backend.failure,
    });
    await pager.close();
    expect([device.liveTensors, device.budget.inUseBytes, backend.liveHostBytes]).toEqual([
      0, 0, 0,
    ]);
  });

  test('host memory that the system refuses is reported at the acquisition', async () => {
    const { pager, backend, use, leftovers } = openSmallPager(2, { slots: 2 });
    const cause = new DeviceError('DEVICE_OUT_OF_MEMORY', 'no page-locked memory');
    backend.hostRefusal = cause;
    await expect(pager.acquire(0)).rejects.toBe(cause);
    await use(0);
    expect(await leftovers()).toEqual(nothingLeft);
  });

  test('a prefetch that the device has no room for is left to its access', async () => {
    const { pager, device, use, leftovers } = openSmallPager(3, {
      slots: 3,
      budgetBytes: 3 * layerBytes,
    });
    const activation = device.allocate([16], 'float32', 'activations', 'activation');
    pager.schedule([0, 1, 2]);
    await use(0);
    await use(1);
    await expect(pager.acquire(2)).rejects.toMatchObject({ code: 'DEVICE_OUT_OF_BUDGET' });
    activation.dispose();
    pager.schedule([2]);
    await use(2);
    expect(await leftovers()).toEqual(nothingLeft);
  });
});
