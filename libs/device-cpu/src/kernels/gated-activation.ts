import type { GatedActivationBackwardOptions, GatedActivationOptions } from '@emloc/device';

import { activationCodes, paddedCount } from '../activations.js';
import { assertSize } from '../checks.js';
import { ChunkBuffer, chunkRows, forRowChunks, rowScratchBytes } from '../chunk-buffer.js';
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
  const count = chunkRows(size, 1);
  const [first, second] = [new ChunkBuffer(scratch, count), new ChunkBuffer(scratch, count)];
  const code = activationCodes[kind];
  forRowChunks(size, 1, (start, end) => {
    first.load(gates, start, end);
    second.load(ups, start, end);
    wasm.gatedForward(code, first.address, second.address, paddedCount(end - start), limit);
    first.store(output, start, end);
  });
}

/** Scratch bytes: chunks of gates and ups. */
export function gatedActivationScratchBytes({ out }: GatedActivationOptions): number {
  return rowScratchBytes(out.size, 1, 2);
}

/** The output may take the place of its gradient: a chunk is read before it is written. */
export function gatedActivationBackward(
  { scratch, wasm }: CpuContext,
  { dOut, gate, up, kind, limit = defaultLimit, dGate, dUp, out }: GatedActivationBackwardOptions,
): void {
  const { size } = dOut;
  if (out) assertSize('gatedActivationBackward', out, size);
  for (const tensor of [gate, up, dGate, dUp]) assertSize('gatedActivationBackward', tensor, size);
  const [gradients, gates, ups] = [float32(dOut), float32(gate), float32(up)];
  const [gateGradients, upGradients, output] = [float32(dGate), float32(dUp), out && float32(out)];
  const count = chunkRows(size, 1);
  const [first, second, third] = [
    new ChunkBuffer(scratch, count),
    new ChunkBuffer(scratch, count),
    new ChunkBuffer(scratch, count),
  ];
  const code = activationCodes[kind];
  forRowChunks(size, 1, (start, end) => {
    first.load(gradients, start, end);
    second.load(gates, start, end);
    third.load(ups, start, end);
    wasm.gatedBackward(
      code,
      first.address,
      second.address,
      third.address,
      paddedCount(end - start),
      limit,
      output !== undefined,
    );
    second.store(gateGradients, start, end);
    third.store(upGradients, start, end);
    if (output) first.store(output, start, end);
  });
}

/** Scratch bytes: chunks of the gradient, of gates and of ups. */
export function gatedActivationBackwardScratchBytes({
  dOut,
}: GatedActivationBackwardOptions): number {
  return rowScratchBytes(dOut.size, 1, 3);
}
