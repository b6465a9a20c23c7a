import type { AddBiasOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks, rowScratchBytes } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';
import { scratchBytes } from '../scratch.js';

export function addBias({ scratch, wasm }: CpuContext, { bias, out }: AddBiasOptions): void {
  const [rows, width] = matrix('addBias', out);
  assertShape('addBias', bias, [width]);
  const [source, target] = [float32(bias), float32(out)];
  const addend = new ChunkBuffer(scratch, width);
  addend.load(source, 0, width);
  const sums = new ChunkBuffer(scratch, chunkRows(rows, width) * width);
  forRowChunks(rows, width, (start, end) => {
    sums.load(target, start * width, end * width);
    wasm.addBiasRows(sums.address, end - start, width, addend.address);
    sums.store(target, start * width, end * width);
  });
}

/** Scratch bytes: the bias and a chunk of rows. */
export function addBiasScratchBytes({ out }: AddBiasOptions): number {
  const [rows, width] = matrix('addBias', out);
  return scratchBytes(width * 4) + rowScratchBytes(rows, width, 1);
}
