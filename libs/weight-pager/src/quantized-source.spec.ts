import { get } from '@emloc/checked';
import { Device, MemoryBudget, OutOfBudgetError } from '@emloc/device';

import { decode } from '../test/decode.js';
import { seededRandom } from '../test/random.js';
import { SimulatedBackend } from '../test/simulated-backend.js';
import { SimulatedSource } from '../test/simulated-source.js';
import { allDeviceBytes, minimumDeviceBytes, openPager, quantizedSource } from './index.js';

/** Layers of one tensor that is held as int8 and one that stays, on a simulated device. */
function openQuantized({ budgetBytes = Number.POSITIVE_INFINITY } = {}) {
  const random = seededRandom(3);
  const device = new Device(new SimulatedBackend(random), new MemoryBudget(budgetBytes));
  const base = new SimulatedSource(
    Array.from({ length: 3 }, () => [128, 8]),
    random,
  );
  const source = quantizedSource(base, {
    format: 'int8',
    includes: (layer, { name }) => layer < 2 && name === 'w0',
  });
  const deviceBytes = allDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  return { device, base, source, pager, deviceBytes };
}

const smallBytes = 128 + 2 * 4;
const wholeBytes = 128 * 4;
const keptBytes = 8 * 4;

test('layers take what they are held in, and a lease what it is made into', async () => {
  const { device, source, pager, deviceBytes } = openQuantized();
  expect(deviceBytes).toBe(2 * 144 + wholeBytes + 3 * keptBytes);
  expect(minimumDeviceBytes(source, device)).toBe(144 + wholeBytes + 2 * keptBytes);
  const lease = await pager.acquire(0);
  const tensors = [...lease.tensors.values()].map(({ shape, dtype }) => ({ shape, dtype }));
  expect(tensors).toEqual([
    { shape: [128], dtype: 'float32' },
    { shape: [8], dtype: 'float32' },
  ]);
  expect(device.budget.inUseBytesOf('weights')).toBe(144 + keptBytes);
  expect(device.budget.inUseBytesOf('workspace')).toBe(wholeBytes);
  const again = await pager.acquire(0);
  expect(get(again.tensors, 'w0')).not.toBe(get(lease.tensors, 'w0'));
  lease.release();
  lease.release();
  again.release();
  expect(device.budget.inUseBytesOf('workspace')).toBe(0);
  expect(pager.statistics.bytesMoved.hostToDevice).toBe(smallBytes + keptBytes);
  const whole = await pager.acquire(2);
  expect(device.budget.inUseBytesOf('workspace')).toBe(0);
  whole.release();
  await pager.close();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
});

test('a read gives codes and scales of the tensor, whatever is asked for beside it', async () => {
  const { base, source, pager } = openQuantized();
  const words = new Uint8Array(smallBytes);
  await Promise.all([
    source.read(1, 'w0', words),
    source.read(0, 'w0', new Uint8Array(smallBytes)),
  ]);
  const found = decode(words, 128, 'int8');
  found.forEach((value, i) => expect(Math.abs(value - (1000 + i))).toBeLessThan(1127 / 254));
  const plain = new Uint8Array(keptBytes);
  await source.read(1, 'w1', plain);
  expect(new Float32Array(plain.buffer)[3]).toBe(1103);
  base.onRead = () => Promise.reject(new Error('gone'));
  await expect(source.read(1, 'w0', words)).rejects.toThrow('gone');
  await pager.close();
});

test('where a lease finds no room for whole tensors, the layer is not held', async () => {
  const { device, pager } = openQuantized({ budgetBytes: 144 + keptBytes + wholeBytes - 16 });
  await expect(pager.acquire(0)).rejects.toThrow(OutOfBudgetError);
  expect(device.budget.inUseBytesOf('workspace')).toBe(0);
  const other = await pager.acquire(0).catch((error: unknown) => error);
  expect(other).toBeInstanceOf(OutOfBudgetError);
  await pager.close();
  await device.synchronize();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
});

test('closing gives back what leases have', async () => {
  const { device, pager } = openQuantized();
  const lease = await pager.acquire(1);
  await pager.close();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
  lease.release();
  expect(device.liveTensors).toBe(0);
});
