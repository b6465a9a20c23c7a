import type { GatedActivationBackwardOptions, GatedActivationOptions } from '@emloc/device';

import { assertSize } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';
import { scratchBytes } from '../scratch.js';

/**
 * Elements that go through the WebAssembly memory at once: the buffers stay in the first-level
 * cache.
 */
const chunkElements = 2048;

/** Scratch bytes for `buffers` chunks. */
export function gatedActivationScratchBytes(size: number, buffers: number): number {
  return buffers * scratchBytes(chunkBytes(size));
}

function chunkBytes(size: number): number {
  return Math.ceil(Math.min(size, chunkElements) / 4) * 16;
}

export function gatedActivation(
  { scratch, wasm }: CpuContext,
  { gate, up, out }: GatedActivationOptions,
): void {
  const { size } = out;
  assertSize('gatedActivation', gate, size);
  assertSize('gatedActivation', up, size);
  const [gates, ups, output] = [float32(gate), float32(up), float32(out)];
  const bytes = chunkBytes(size);
  const [first, second] = [scratch.take(bytes), scratch.take(bytes)];
  for (let start = 0; start < size; start += chunkElements) {
    const end = Math.min(size, start + chunkElements);
    activate({ scratch, wasm, chunk: { first, second, start, end } }, { gates, ups, output });
  }
}

interface Chunk {
  /** Addresses of scratch for gates and ups. */
  readonly first: number;
  readonly second: number;
  readonly start: number;
  readonly end: number;
}

function activate(
  {
    scratch,
    wasm,
    chunk: { first, second, start, end },
  }: Pick<CpuContext, 'scratch' | 'wasm'> & { readonly chunk: Chunk },
  { gates, ups, output }: Readonly<Record<'gates' | 'ups' | 'output', Float32Array>>,
): void {
  const count = end - start;
  const gateChunk = scratch.float32(first, count);
  gateChunk.set(gates.subarray(start, end));
  scratch.float32(second, count).set(ups.subarray(start, end));
  wasm.swigluForward(first, second, paddedCount(count));
  output.set(gateChunk, start);
}

export function gatedActivationBackward(
  { scratch, wasm }: CpuContext,
  { dOut, gate, up, dGate, dUp, out }: GatedActivationBackwardOptions,
): void {
  const { size } = dOut;
  if (out) assertSize('gatedActivationBackward', out, size);
  for (const tensor of [gate, up, dGate, dUp]) assertSize('gatedActivationBackward', tensor, size);
  const [gradients, gates, ups, gateGradients, upGradients] = [
    float32(dOut),
    float32(gate),
    float32(up),
    float32(dGate),
    float32(dUp),
  ];
  const bytes = chunkBytes(size);
  const [first, second, third, fourth] = [
    scratch.take(bytes),
    scratch.take(bytes),
    scratch.take(bytes),
    scratch.take(bytes),
  ];
  const [gradientChunk, gateChunk, upChunk] = [first, second, third].map((address) =>
    scratch.float32(address, bytes / 4),
  ) as [Float32Array, Float32Array, Float32Array];
  for (let start = 0; start < size; start += chunkElements) {
    const end = Math.min(size, start + chunkElements);
    // Read before the output is written, which may take its place.
    const read = scratch.float32(fourth, end - start);
    read.set(gradients.subarray(start, end));
    if (out)
      activate(
        { scratch, wasm, chunk: { first, second, start, end } },
        { gates, ups, output: float32(out) },
      );
    gradientChunk.set(read);
    gateChunk.set(gates.subarray(start, end));
    upChunk.set(ups.subarray(start, end));
    wasm.swigluBackward(first, second, third, paddedCount(end - start));
    gateGradients.set(gateChunk.subarray(0, end - start), start);
    upGradients.set(upChunk.subarray(0, end - start), start);
  }
}

/** Lanes past the end compute on what lies there; nobody reads them. */
function paddedCount(count: number): number {
  return Math.ceil(count / 4) * 4;
}
