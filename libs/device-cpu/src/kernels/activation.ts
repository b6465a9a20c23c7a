import type { ActivationBackwardOptions, ActivationOptions } from '@emloc/device';

import { activationCodes, chunkBytes, chunkElements, paddedCount } from '../activations.js';
import { assertSize } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';

export function activation(
  { scratch, wasm }: CpuContext,
  { x, kind, out }: ActivationOptions,
): void {
  const { size } = out;
  assertSize('activation', x, size);
  const [input, output] = [float32(x), float32(out)];
  const address = scratch.take(chunkBytes(size));
  for (let start = 0; start < size; start += chunkElements) {
    const end = Math.min(size, start + chunkElements);
    const chunk = scratch.float32(address, end - start);
    chunk.set(input.subarray(start, end));
    wasm.activationForward(activationCodes[kind], address, paddedCount(end - start));
    output.set(chunk, start);
  }
}

export function activationBackward(
  { scratch, wasm }: CpuContext,
  { dOut, x, kind, dX, accumulate }: ActivationBackwardOptions,
): void {
  const { size } = x;
  for (const tensor of [dOut, dX]) assertSize('activationBackward', tensor, size);
  const [gradient, input, output] = [float32(dOut), float32(x), float32(dX)];
  const [first, second] = [scratch.take(chunkBytes(size)), scratch.take(chunkBytes(size))];
  for (let start = 0; start < size; start += chunkElements) {
    const end = Math.min(size, start + chunkElements);
    const chunk = scratch.float32(first, end - start);
    chunk.set(gradient.subarray(start, end));
    scratch.float32(second, end - start).set(input.subarray(start, end));
    wasm.activationBackward(activationCodes[kind], first, second, paddedCount(end - start));
    if (accumulate) {
      scratch.float32(second, end - start).set(output.subarray(start, end));
      wasm.addRow(first, second, end - start);
    }
    output.set(chunk, start);
  }
}
