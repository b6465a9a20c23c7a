import {
  type GatedActivationBackwardOptions,
  type GatedActivationKind,
  type GatedActivationOptions,
  type Tensor,
} from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';
import { activationNames } from './activation.js';

/** Of gpt-oss's clamped SwiGLU; read by no other kind. */
const defaultLimit = 7;

export function gatedActivation(
  context: CudaContext,
  { gate, up, kind, limit, out }: GatedActivationOptions,
): void {
  launch(context, 'gated_activation', { kind, limit }, [gate, up, out]);
}

export function gatedActivationBackward(
  context: CudaContext,
  { dOut, gate, up, kind, limit, dGate, dUp, out }: GatedActivationBackwardOptions,
): void {
  const tensors = [dOut, gate, up, dGate, dUp, out ?? null] as const;
  launch(context, 'gated_activation_backward', { kind, limit }, tensors);
}

/** Null tensors become null pointers. */
function launch(
  context: CudaContext,
  name: string,
  { kind, limit = defaultLimit }: { kind: GatedActivationKind; limit?: number },
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
  launcher.pointer(first.size).float32(limit);
  const suffix = `${activationNames[kind]}_${dtype}${width > 1 ? '_wide' : ''}`;
  launcher.launch('gated-activation', `${name}_${suffix}`, shapeFor(first.size, width));
}
