import type { GatedActivationBackwardOptions, GatedActivationOptions } from '@emloc/device';

import { activationCodes, chunkBytes, chunkElements, paddedCount } from '../activations.js';
import { assertSize } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';

/** Of gpt-oss's clamped SwiGLU; read by no other kind. */
const defaultLimit = 7;

export function gatedActivation(
  { scratch, wasm }: CpuContext,
  { gate, up, kind, limit = defaultLimit, out }: GatedActivationOptions,
): void {
  const { size } = out;
  assertSize('gatedActivation', gate, size);
  assertSize('gatedActivation', up, size);
  const [gates, ups, output] = [float32(gate), float32(up), float32(out)];
  const bytes = chunkBytes(size);
  const [first, second] = [scratch.take(bytes), scratch.take(bytes)];
  for (let start = 0; start < size; start += chunkElements) {
    const end = Math.min(size, start + chunkElements);
    const chunk = { code: activationCodes[kind], limit, first, second, start, end };
    activate({ scratch, wasm, chunk }, { gates, ups, output });
  }
}

interface Chunk {
  readonly code: number;
  readonly limit: number;
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
    chunk: { code, limit, first, second, start, end },
  }: Pick<CpuContext, 'scratch' | 'wasm'> & { readonly chunk: Chunk },
  { gates, ups, output }: Readonly<Record<'gates' | 'ups' | 'output', Float32Array>>,
): void {
  const count = end - start;
  const gateChunk = scratch.float32(first, count);
  gateChunk.set(gates.subarray(start, end));
  scratch.float32(second, count).set(ups.subarray(start, end));
  wasm.gatedForward(code, first, second, paddedCount(count), limit);
  output.set(gateChunk, start);
}

export function gatedActivationBackward(
  { scratch, wasm }: CpuContext,
  { dOut, gate, up, kind, limit = defaultLimit, dGate, dUp, out }: GatedActivationBackwardOptions,
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
  const code = activationCodes[kind];
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
        { scratch, wasm, chunk: { code, limit, first, second, start, end } },
        { gates, ups, output: float32(out) },
      );
    gradientChunk.set(read);
    gateChunk.set(gates.subarray(start, end));
    upChunk.set(ups.subarray(start, end));
    wasm.gatedBackward(code, first, second, third, paddedCount(end - start), limit);
    gateGradients.set(gateChunk.subarray(0, end - start), start);
    upGradients.set(upChunk.subarray(0, end - start), start);
  }
}
