import type { RmsNormBackwardOptions, RmsNormOptions } from '@emloc/device';

import { assertSize, rowsAndColumns } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { normScratchBytes, takeGains } from '../gains.js';
import { float32 } from '../memory.js';

/** Sums in float64. */
export function rmsNorm(
  { scratch, wasm }: CpuContext,
  { x, weight, weightOffset = 0, epsilon, out, inverseRms }: RmsNormOptions,
): void {
  const [rows, width] = rowsAndColumns(x);
  assertSize('rmsNorm', out, x.size);
  assertSize('rmsNorm', inverseRms, rows);
  const gains = takeGains(scratch, 'rmsNorm', { weight, width, offset: weightOffset });
  const [input, output, inverses] = [float32(x), float32(out), float32(inverseRms)];
  const chunk = chunkRows(rows, width);
  const values = new ChunkBuffer(scratch, chunk * width);
  const factors = new ChunkBuffer(scratch, chunk);
  forRowChunks(rows, width, (start, end) => {
    values.load(input, start * width, end * width);
    wasm.rmsNormRows(values.address, end - start, width, gains, epsilon, factors.address);
    values.store(output, start * width, end * width);
    factors.store(inverses, start, end);
  });
}

/** Scratch bytes: gains, and a chunk of rows with their factors. */
export function rmsNormScratchBytes({ x }: RmsNormOptions): number {
  return normScratchBytes(x, { operands: 1, rowValues: 1 });
}

/** dX = r (g − x r² mean(g x)) with g = dOut · weight and r = inverseRms; sums in float64. */
export function rmsNormBackward(
  { scratch, wasm }: CpuContext,
  options: RmsNormBackwardOptions,
): void {
  const { dOut, x, weight, weightOffset = 0, inverseRms, dX, accumulate = false, out } = options;
  const [rows, width] = rowsAndColumns(x);
  assertSize('rmsNormBackward', dOut, x.size);
  assertSize('rmsNormBackward', dX, x.size);
  assertSize('rmsNormBackward', inverseRms, rows);
  if (out) assertSize('rmsNormBackward', out, x.size);
  const gains = takeGains(scratch, 'rmsNormBackward', { weight, width, offset: weightOffset });
  const [gradient, input, inverses, output] = [dOut, x, inverseRms, dX].map(float32) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const again = out && float32(out);
  const chunk = chunkRows(rows, width);
  const [gradients, values] = [
    new ChunkBuffer(scratch, chunk * width),
    new ChunkBuffer(scratch, chunk * width),
  ];
  const sums = accumulate ? new ChunkBuffer(scratch, chunk * width) : gradients;
  const factors = new ChunkBuffer(scratch, chunk);
  forRowChunks(rows, width, (start, end) => {
    const [first, last] = [start * width, end * width];
    gradients.load(gradient, first, last);
    values.load(input, first, last);
    factors.load(inverses, start, end);
    if (accumulate) sums.load(output, first, last);
    wasm.rmsNormBackwardRows(
      gradients.address,
      values.address,
      end - start,
      width,
      gains,
      factors.address,
      sums.address,
      accumulate,
      again !== undefined,
    );
    sums.store(output, first, last);
    if (again) values.store(again, first, last);
  });
}

/** Scratch bytes: gains, and chunks of both operands, and of what is added to, and of factors. */
export function rmsNormBackwardScratchBytes({ x, accumulate }: RmsNormBackwardOptions): number {
  return normScratchBytes(x, { operands: accumulate ? 3 : 2, rowValues: 1 });
}
