import type { SquaredNormsOptions, Tensor } from '@emloc/device';

import { assertShape } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks, rowScratchBytes } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { float32, float64 } from '../memory.js';

/** Sums in float64. */
export function squaredNorms(context: CpuContext, { tensors, out }: SquaredNormsOptions): void {
  assertShape('squaredNorms', out, [tensors.length]);
  const norms = float32(out);
  const chunk = new ChunkBuffer(context.scratch, chunkRows(largestSize(tensors), 1));
  tensors.forEach((tensor, index) => {
    norms[index] =
      tensor.dtype === 'float64'
        ? squaredSum(float64(tensor))
        : squaredNorm(context, chunk, float32(tensor));
  });
}

/** Scratch bytes: a chunk of the largest. */
export function squaredNormsScratchBytes({ tensors }: SquaredNormsOptions): number {
  return rowScratchBytes(largestSize(tensors), 1, 1);
}

function largestSize(tensors: readonly Tensor[]): number {
  return tensors.reduce((most, { size }) => Math.max(most, size), 0);
}

function squaredNorm({ wasm }: CpuContext, chunk: ChunkBuffer, values: Float32Array): number {
  let sum = 0;
  forRowChunks(values.length, 1, (start, end) => {
    chunk.load(values, start, end);
    sum += wasm.squaredSum(chunk.address, end - start);
  });
  return sum;
}

function squaredSum(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += (values[i] as number) * (values[i] as number);
  return sum;
}
