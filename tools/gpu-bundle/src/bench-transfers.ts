import { at } from '@emloc/checked';
import type { Device } from '@emloc/device';

import { Operands, type Measurement } from './bench-lab.js';

/** Copies of 1 GiB from page-locked and pageable memory, with and without conversion, and back. */
export async function benchmarkCopies(
  device: Device,
  report: (line: Measurement) => void,
): Promise<void> {
  const bytes = 2 ** 30;
  const operands = new Operands(device);
  const [pinned, tensor] = [device.allocateHost(bytes), operands.empty([bytes / 4], 'float32')];
  pinned.bytes.fill(1);
  const source = { bytes: pinned.bytes, dtype: 'float32' as const };
  const once = async (name: string, work: () => void | Promise<void>, moved = bytes) => {
    const times = [];
    for (let i = 0; i < 4; i += 1) {
      const start = performance.now();
      await work();
      await device.synchronize();
      times.push(performance.now() - start);
    }
    const ms = Math.min(...times);
    report({ name, ms, rate: moved / ms / 1e6, unit: 'GB/s' });
  };
  await once('upload, page-locked, copy stream', () => device.upload(tensor, source, 'copy'));
  const pageable = { bytes: new Uint8Array(bytes / 4).fill(1), dtype: 'float32' as const };
  await once(
    'upload, pageable',
    () => device.upload(tensor.rows(0, bytes / 16), pageable),
    bytes / 4,
  );
  const half = operands.empty([bytes / 4], 'bfloat16');
  await once('upload, page-locked, float32 to bfloat16', () => device.upload(half, source, 'copy'));
  await once('download, page-locked', () => device.downloadBytes(tensor, pinned.bytes));
  pinned.dispose();
  operands.dispose();
}

/** eigh and cholesky of a well-conditioned random statistic, first and later calls. */
export async function benchmarkFactorizations(
  device: Device,
  report: (line: Measurement) => void,
): Promise<void> {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const n of [512, 3584, 5120]) await factorize(device, n, dtype, report);
  }
}

async function factorize(
  device: Device,
  n: number,
  dtype: 'float32' | 'float64',
  report: (line: Measurement) => void,
): Promise<void> {
  const operands = new Operands(device);
  const x = operands.random([n + 64, n]);
  const [a, values] = [operands.empty([n, n], dtype), operands.empty([n], dtype)];
  for (const [name, flops, run] of [
    ['eigh', 9 * n ** 3, () => device.kernels.eigh({ a, values })],
    ['cholesky', n ** 3 / 3, () => device.kernels.cholesky({ a })],
  ] as const) {
    const times = [];
    for (let i = 0; i < 3; i += 1) {
      device.kernels.fill({ out: a, value: 0 });
      device.kernels.gram({ x, out: a });
      await device.synchronize();
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
    const ms = Math.min(...times);
    report({
      name: `${name} ${n} ${dtype} (first call ${at(times, 0).toFixed(0)} ms)`,
      ms,
      rate: flops / ms / 1e9,
      unit: 'TFLOP/s',
    });
  }
  operands.dispose();
}
