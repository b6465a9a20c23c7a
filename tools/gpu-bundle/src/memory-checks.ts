import { at, last } from '@emloc/checked';
import { Device, DeviceError, MemoryBudget, OutOfBudgetError, type Tensor } from '@emloc/device';
import { createCudaBackend, defaultReserveBytes, type CudaBackend } from '@emloc/device-cuda';

import { checkGraphs } from './graph-checks.js';
import { checkRepeatedTraining } from './repeated-training-checks.js';

const mebibyte = 2 ** 20;

/**
 * Opens devices of its own with small budgets; returns what it found as lines, throws when
 * something is wrong.
 */
export async function checkMemory(ordinal: number): Promise<readonly string[]> {
  return [
    ...(await checkFragmentation(ordinal)),
    ...(await checkReuse(ordinal)),
    ...(await checkLargeDownload(ordinal)),
    ...(await checkRepetition(ordinal)),
    ...(await checkGraphs(open(ordinal, 512 * mebibyte))),
    ...(await checkRepeatedTraining((options) => createCudaBackend({ ordinal, ...options }))),
  ];
}

function open(
  ordinal: number,
  arenaBytes: number,
): { readonly device: Device; readonly backend: CudaBackend; readonly budget: MemoryBudget } {
  const budget = new MemoryBudget(defaultReserveBytes + arenaBytes);
  const backend = createCudaBackend({ ordinal, capacityBytes: budget.totalBytes });
  return { device: new Device(backend, budget), backend, budget };
}

/**
 * Fills the budget to the last byte with small tensors, frees every other one and asks for all that
 * is free at once.
 */
async function checkFragmentation(ordinal: number): Promise<readonly string[]> {
  const { device, backend, budget } = open(ordinal, 256 * mebibyte);
  const count = 1024;
  const tensors = Array.from({ length: count }, (_, index) => {
    const tensor = device.allocate([65_536], 'float32', 'activations', `piece ${index}`);
    device.kernels.fill({ out: tensor, value: index });
    return tensor;
  });
  expectThrows(() => device.allocate([1], 'float32', 'activations', 'one too many'));
  for (let index = 0; index < count; index += 2) at(tensors, index).dispose();
  const start = performance.now();
  const big = device.allocate([(128 * mebibyte) / 4], 'float32', 'activations', 'all that is free');
  const compactionMs = performance.now() - start;
  device.kernels.fill({ out: big, value: -1 });
  for (let index = 1; index < count; index += 2) await expectAll(at(tensors, index), index, device);
  const memory = backend.measureMemory();
  if (memory.ownBytes !== null && memory.ownBytes > budget.totalBytes)
    throw new Error(`${memory.ownBytes} bytes on the card, budget ${budget.totalBytes}`);
  big.dispose();
  for (let index = 1; index < count; index += 2) at(tensors, index).dispose();
  await device.close();
  return [
    `fragmented arena compacted in ${compactionMs.toFixed(1)} ms; on the card ${memory.ownBytes} of ${budget.totalBytes} bytes (arena ${memory.arenaBytes})`,
  ];
}

/**
 * Memory that a long chain of kernels still reads is freed, given to an upload on the copy stream,
 * and must not change under them.
 */
async function checkReuse(ordinal: number): Promise<readonly string[]> {
  const { device } = open(ordinal, 512 * mebibyte);
  const count = (64 * mebibyte) / 4;
  const pinned = device.allocateHost(count * 4);
  new Float32Array(pinned.bytes.buffer).fill(5);
  for (let round = 0; round < 20; round += 1) {
    const [source, sum] = [
      device.allocate([count], 'float32', 'weights', 'source'),
      device.allocate([count], 'float32', 'activations', 'sum'),
    ];
    device.kernels.fill({ out: source, value: 1 });
    device.kernels.fill({ out: sum, value: 0 });
    for (let i = 0; i < 50; i += 1) device.kernels.add({ x: source, out: sum });
    source.dispose();
    const next = device.allocate([count], 'float32', 'weights', 'next');
    device.upload(next, { bytes: pinned.bytes, dtype: 'float32' }, 'copy');
    next.dispose();
    const after = device.allocate([count], 'float32', 'activations', 'after');
    device.kernels.fill({ out: after, value: 2 });
    await expectAll(sum, 50, device);
    await expectAll(after, 2, device);
    after.dispose();
    sum.dispose();
  }
  pinned.dispose();
  await device.close();
  return ['memory reused by the copy stream only after the kernels that read it'];
}

/** More than one page-locked buffer holds, downloaded in pieces. */
async function checkLargeDownload(ordinal: number): Promise<readonly string[]> {
  const { device } = open(ordinal, 512 * mebibyte);
  const tensor = device.allocate([(300 * mebibyte) / 4], 'float32', 'weights', 'large');
  device.kernels.fill({ out: tensor, value: 1 });
  device.kernels.fill({ out: tensor.rows((200 * mebibyte) / 4, (300 * mebibyte) / 4), value: 2 });
  const pending = device.download(tensor);
  device.kernels.fill({ out: tensor, value: 3 });
  const values = await pending;
  const wrong = values.findIndex(
    (value, index) => value !== (index < (200 * mebibyte) / 4 ? 1 : 2),
  );
  if (wrong >= 0) throw new Error(`value ${wrong} is ${values[wrong]}`);
  tensor.dispose();
  await device.close();
  return ['300 MiB downloaded as they were when the download was asked for'];
}

/** Opening and closing leaves nothing on the card. */
async function checkRepetition(ordinal: number): Promise<readonly string[]> {
  const used = [];
  for (let round = 0; round < 4; round += 1) {
    const { device, backend } = open(ordinal, 64 * mebibyte);
    const tensor = device.allocate([mebibyte], 'float32', 'weights', 'w');
    device.kernels.fill({ out: tensor, value: 1 });
    await device.synchronize();
    used.push(backend.measureMemory().usedBytes);
    tensor.dispose();
    await device.close();
  }
  const growth = last(used) - at(used, 1);
  if (growth > 4 * mebibyte)
    throw new Error(`${growth} bytes more on the card after opening it again`);
  return [`opened four times, ${growth} bytes of growth`];
}

async function expectAll(tensor: Tensor, expected: number, device: Device): Promise<void> {
  const values = await device.download(tensor);
  const wrong = values.findIndex((value) => value !== expected);
  if (wrong >= 0)
    throw new Error(`${tensor.label}: value ${wrong} is ${values[wrong]}, expected ${expected}`);
}

function expectThrows(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (
      error instanceof OutOfBudgetError ||
      (error instanceof DeviceError && error.code === 'DEVICE_OUT_OF_MEMORY')
    )
      return;
    throw error;
  }
  throw new Error('an allocation beyond the budget went through');
}
