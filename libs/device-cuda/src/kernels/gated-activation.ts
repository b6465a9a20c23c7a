import type { GatedActivationBackwardOptions, GatedActivationOptions, Tensor } from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { isWide, wideCount } from '../wide.js';

const threads = 256;

export function gatedActivation(
  context: CudaContext,
  { gate, up, out }: GatedActivationOptions,
): void {
  launch(context, 'gated_activation', [gate, up, out]);
}

export function gatedActivationBackward(
  context: CudaContext,
  { dOut, gate, up, dGate, dUp, out }: GatedActivationBackwardOptions,
): void {
  launch(context, 'gated_activation_backward', [dOut, gate, up, dGate, dUp, out ?? null]);
}

/** Null tensors become null pointers. */
function launch(
  context: CudaContext,
  name: string,
  [first, ...others]: readonly [Tensor, ...(Tensor | null)[]],
): void {
  const tensors = [first, ...others.filter((tensor) => tensor !== null)] as const;
  for (const tensor of tensors) expectShape(name, tensor, first.shape);
  const dtype = expectDType(name, ['float32', 'bfloat16'] as const, ...tensors);
  const addresses = [first, ...others].map((tensor) => (tensor ? addressOf(context, tensor) : 0));
  const width = isWide(first.size, wideCount(dtype), ...addresses) ? wideCount(dtype) : 1;
  const { launcher } = context;
  launcher.begin();
  for (const address of addresses) launcher.pointer(address);
  launcher
    .pointer(first.size)
    .launch('gated-activation', `${name}_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [Math.ceil(first.size / width / threads)],
      block: threads,
    });
}
