import { at } from '@emloc/checked';
import { dropoutThreshold, type DropoutOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks, rowScratchBytes } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import { float32, int32 } from '../memory.js';
import { Scratch } from '../scratch.js';
import { instantiateKernels } from '../wasm.js';

type Places = Pick<CpuContext, 'scratch' | 'wasm'>;

export function dropout(
  context: CpuContext,
  { x, out, probability, key, stream, accumulate = false }: DropoutOptions,
): void {
  assertShape('dropout', out, x.shape);
  assertShape('dropout', key, [2]);
  const drawn = { probability, stream, accumulate };
  applyDropout(context, float32(x), float32(out), int32(key), drawn);
}

/** Scratch bytes: chunks of both operands. */
export function dropoutScratchBytes({ x }: Pick<DropoutOptions, 'x'>): number {
  return scratchBytesOf(x.size);
}

function scratchBytesOf(size: number): number {
  return rowScratchBytes(size, 1, 2);
}

type Drawn = Required<Pick<DropoutOptions, 'probability' | 'stream' | 'accumulate'>>;

/** @param output as long as `input`, or the same */
function applyDropout(
  { scratch, wasm }: Places,
  input: Float32Array,
  output: Float32Array,
  key: Int32Array,
  { probability, stream, accumulate }: Drawn,
): void {
  const size = input.length;
  const count = chunkRows(size, 1);
  const [values, sums] = [new ChunkBuffer(scratch, count), new ChunkBuffer(scratch, count)];
  const [k0, k1] = [at(key, 0), at(key, 1)];
  const threshold = dropoutThreshold(probability);
  const factor = 1 / (1 - probability);
  forRowChunks(size, 1, (start, end) => {
    values.load(input, start, end);
    if (accumulate) sums.load(output, start, end);
    wasm.dropoutRow(
      values.address,
      sums.address,
      end - start,
      start / 2,
      stream,
      k0,
      k1,
      threshold,
      factor,
      accumulate,
    );
    sums.store(output, start, end);
  });
}

let own: Places | undefined;

/** 0 or 1 / (1 − probability) for each of `count` elements. @param key (2) */
export function dropoutFactors(
  count: number,
  key: Int32Array,
  drawn: Pick<Drawn, 'probability' | 'stream'>,
): Float32Array {
  own ??= openPlaces();
  const factors = new Float32Array(count).fill(1);
  const places = own;
  places.scratch.run(scratchBytesOf(count), () =>
    applyDropout(places, factors, factors, key, { ...drawn, accumulate: false }),
  );
  return factors;
}

function openPlaces(): Places {
  const wasm = instantiateKernels(false);
  return { wasm, scratch: new Scratch(wasm) };
}
