import type { DeltaGatesBackwardOptions, DeltaGatesOptions, Tensor } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { shapeFor } from '../shape-for.js';

export function deltaGates(context: CudaContext, options: DeltaGatesOptions): void {
  const { a, b, logDecay, offset, decay, strength } = options;
  const operands = { rows: [a, b], gates: [decay, strength], parameters: [logDecay, offset] };
  launch(context, 'delta_gates', operands, [a, b, logDecay, offset, decay, strength]);
}

export function deltaGatesBackward(context: CudaContext, options: DeltaGatesBackwardOptions): void {
  const { dDecay, dStrength, a, b, logDecay, offset, dA, dB } = options;
  launch(
    context,
    'delta_gates_backward',
    { rows: [a, b, dA, dB], gates: [dDecay, dStrength], parameters: [logDecay, offset] },
    [dDecay, dStrength, a, b, logDecay, offset, dA, dB],
  );
}

interface GateOperands {
  /** (N, heads), compute dtype */
  readonly rows: readonly Tensor[];
  /** (N, heads) float32 */
  readonly gates: readonly Tensor[];
  /** (heads), compute dtype or float32 */
  readonly parameters: readonly Tensor[];
}

/** @param list the kernel's pointers, in its order */
function launch(
  context: CudaContext,
  name: 'delta_gates' | 'delta_gates_backward',
  { rows, gates, parameters }: GateOperands,
  list: readonly Tensor[],
): void {
  const [a, ...others] = rows as [Tensor, ...Tensor[]];
  const [gate, ...otherGates] = gates as [Tensor, ...Tensor[]];
  const [parameter, ...otherParameters] = parameters as [Tensor, ...Tensor[]];
  const [, heads] = rowsAndColumns(name, a);
  for (const tensor of [...others, ...gates]) expectShape(name, tensor, a.shape);
  for (const tensor of parameters) expectShape(name, tensor, [heads]);
  const dtype = expectDType(name, ['float32', 'bfloat16'] as const, a, ...others);
  expectDType(name, ['float32'], gate, ...otherGates);
  const stored = expectDType(name, [dtype, 'float32'], parameter, ...otherParameters);
  const { launcher } = context;
  launcher.begin();
  for (const tensor of list) launcher.pointer(addressOf(context, tensor));
  launcher
    .pointer(a.size)
    .int32(heads)
    .launch('delta-gates', `${name}_${dtype}_${stored}`, shapeFor(a.size, 1));
}
