import type { LayerNormBackwardOptions, LayerNormOptions } from '@emloc/device';

import { assertShape, assertSize, rowsAndColumns } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { normScratchBytes, takeGains } from '../gains.js';
import { float32 } from '../memory.js';
import { scratchBytes } from '../scratch.js';

/** Sums in float64, the variance about the mean of a first pass. */
export function layerNorm({ scratch, wasm }: CpuContext, options: LayerNormOptions): void {
  const { x, weight, bias, epsilon, out, mean, inverseStd } = options;
  const [rows, width] = rowsAndColumns(x);
  assertSize('layerNorm', out, x.size);
  for (const tensor of [mean, inverseStd]) assertSize('layerNorm', tensor, rows);
  if (bias) assertShape('layerNorm', bias, [width]);
  const gains = takeGains(scratch, 'layerNorm', { weight, width });
  const shifts = scratch.take(width * 8);
  const shift = scratch.float64(shifts, width);
  if (bias) shift.set(float32(bias));
  else shift.fill(0);
  const [input, output] = [float32(x), float32(out)];
  const [means, inverses] = [float32(mean), float32(inverseStd)];
  const chunk = chunkRows(rows, width);
  const values = new ChunkBuffer(scratch, chunk * width);
  const [centers, factors] = [new ChunkBuffer(scratch, chunk), new ChunkBuffer(scratch, chunk)];
  forRowChunks(rows, width, (start, end) => {
    values.load(input, start * width, end * width);
    wasm.layerNormRows(
      values.address,
      end - start,
      width,
      gains,
      shifts,
      epsilon,
      centers.address,
      factors.address,
    );
    values.store(output, start * width, end * width);
    centers.store(means, start, end);
    factors.store(inverses, start, end);
  });
}

/** Scratch bytes: gains and shifts, and a chunk of rows with their means and factors. */
export function layerNormScratchBytes({ x }: LayerNormOptions): number {
  return scratchBytes(x.dim(-1) * 8) + normScratchBytes(x, { operands: 1, rowValues: 2 });
}

/**
 * dX = r (g − mean(g) − y mean(g y)) with g = dOut · weight, y = (x − mean) r, r = inverseStd; sums
 * in float64. What the mean lost when it was rounded to float32 is found again.
 */
export function layerNormBackward(
  { scratch, wasm }: CpuContext,
  options: LayerNormBackwardOptions,
): void {
  const { dOut, x, weight, mean, inverseStd, dX, accumulate = false } = options;
  const [rows, width] = rowsAndColumns(x);
  for (const tensor of [dOut, dX]) assertSize('layerNormBackward', tensor, x.size);
  for (const tensor of [mean, inverseStd]) assertSize('layerNormBackward', tensor, rows);
  const gains = takeGains(scratch, 'layerNormBackward', { weight, width });
  const [gradient, input, output] = [float32(dOut), float32(x), float32(dX)];
  const [means, inverses] = [float32(mean), float32(inverseStd)];
  const chunk = chunkRows(rows, width);
  const [gradients, values] = [
    new ChunkBuffer(scratch, chunk * width),
    new ChunkBuffer(scratch, chunk * width),
  ];
  const sums = accumulate ? new ChunkBuffer(scratch, chunk * width) : gradients;
  const [centers, factors] = [new ChunkBuffer(scratch, chunk), new ChunkBuffer(scratch, chunk)];
  forRowChunks(rows, width, (start, end) => {
    const [first, last] = [start * width, end * width];
    gradients.load(gradient, first, last);
    values.load(input, first, last);
    centers.load(means, start, end);
    factors.load(inverses, start, end);
    if (accumulate) sums.load(output, first, last);
    wasm.layerNormBackwardRows(
      gradients.address,
      values.address,
      end - start,
      width,
      gains,
      centers.address,
      factors.address,
      sums.address,
      accumulate,
    );
    sums.store(output, first, last);
  });
}

/** Scratch bytes: gains, and chunks of the operands, of what is added to and of rows' values. */
export function layerNormBackwardScratchBytes({ x, accumulate }: LayerNormBackwardOptions): number {
  return normScratchBytes(x, { operands: accumulate ? 3 : 2, rowValues: 2 });
}
