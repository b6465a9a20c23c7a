import type {
  ActivationBackwardOptions,
  ActivationKind,
  ActivationOptions,
  GatedActivationKind,
} from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';

const computeDTypes = ['float32', 'bfloat16'] as const;

/** What activation.cu and gated-activation.cu call them. */
export const activationNames: Readonly<Record<ActivationKind | GatedActivationKind, string>> = {
  silu: 'silu',
  sigmoid: 'sigmoid',
  quickGelu: 'quick_gelu',
  geluTanh: 'gelu_tanh',
  gelu: 'gelu',
  clampedSwiglu: 'clamped_swiglu',
};

export function activation(context: CudaContext, { x, kind, out }: ActivationOptions): void {
  expectShape('activation', out, x.shape);
  const dtype = expectDType('activation', computeDTypes, x, out);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const width = isWide(x.size, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  const suffix = `${activationNames[kind]}_${dtype}${width > 1 ? '_wide' : ''}`;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(x.size)
    .launch('activation', `activation_${suffix}`, shapeFor(x.size, width));
}

export function activationBackward(
  context: CudaContext,
  { dOut, x, kind, dX, accumulate }: ActivationBackwardOptions,
): void {
  for (const tensor of [dOut, dX]) expectShape('activationBackward', tensor, x.shape);
  const dtype = expectDType('activationBackward', computeDTypes, x, dOut, dX);
  const addresses = [dOut, x, dX].map((tensor) => addressOf(context, tensor));
  const width = isWide(x.size, wideCount(dtype), ...addresses) ? wideCount(dtype) : 1;
  const suffix = `${activationNames[kind]}_${dtype}${width > 1 ? '_wide' : ''}`;
  const { launcher } = context;
  launcher.begin();
  for (const address of addresses) launcher.pointer(address);
  launcher
    .pointer(x.size)
    .int32(accumulate ? 1 : 0)
    .launch('activation', `activation_backward_${suffix}`, shapeFor(x.size, width));
}
