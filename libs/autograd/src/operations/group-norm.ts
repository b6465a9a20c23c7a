import type { GroupNormOptions } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import { forwardOnly } from './operation.js';

export interface GroupNormShape extends Pick<
  GroupNormOptions,
  'groups' | 'epsilon' | 'activation'
> {
  /** Names of parameters (width). */
  readonly weight: string;
  readonly bias: string;
}

/**
 * (x − mean) / sqrt(variance + epsilon) · weight + bias over each group of columns of a sequence
 * (arXiv 1803.08494), and an activation of it; in x's memory where nobody else needs x.
 */
export function groupNorm(block: ProgramBuilder, x: Value, shape: GroupNormShape): Value {
  const [weight, bias] = [shape.weight, shape.bias].map((name) =>
    block.parameter(name, [x.width]),
  ) as [string, string];
  const { groups, epsilon, activation } = shape;
  const out = block.value(x.width, x.rows);
  block.add({
    ...forwardOnly,
    name: 'groupNorm',
    inputs: [x],
    outputs: [out],

    forward(context) {
      const { bindings } = context;
      const input = context.get(x);
      bindings.device.kernels.groupNorm({
        ...{ x: input, groups, epsilon, activation, sequences: bindings.layout(x.rows) },
        weight: bindings.parameter(weight),
        bias: bindings.parameter(bias),
        out: context.reuse(x, out) ? input : context.create(out),
      });
    },
  });
  return out;
}
