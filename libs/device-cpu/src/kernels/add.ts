import type { AddOptions } from '@emloc/device';

import { assertSize } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks, rowScratchBytes } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { float32, floats } from '../memory.js';

export function add({ scratch, wasm }: CpuContext, { x, out, alpha = 1 }: AddOptions): void {
  assertSize('add', x, out.size);
  if (x.dtype !== 'float32' || out.dtype !== 'float32') {
    addWide(floats(x), floats(out), alpha);
    return;
  }
  const [source, target] = [float32(x), float32(out)];
  const count = chunkRows(out.size, 1);
  const [values, sums] = [new ChunkBuffer(scratch, count), new ChunkBuffer(scratch, count)];
  forRowChunks(out.size, 1, (start, end) => {
    values.load(source, start, end);
    sums.load(target, start, end);
    if (alpha === 1) wasm.addRow(sums.address, values.address, end - start);
    else wasm.addScaledRow(sums.address, values.address, end - start, alpha);
    sums.store(target, start, end);
  });
}

/** Scratch bytes: chunks of both operands. */
export function addScratchBytes({ out }: AddOptions): number {
  return rowScratchBytes(out.size, 1, 2);
}

type Floats = Float32Array | Float64Array;

/** One of the two is float64. */
function addWide(source: Floats, target: Floats, alpha: number): void {
  for (let i = 0; i < target.length; i += 1)
    target[i] = (target[i] as number) + alpha * (source[i] as number);
}
