import type { SequenceLayout } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import type { ForwardContext } from './operation.js';

export interface LayerScaleShape {
  readonly x: Value;
  /** Name of a parameter (width): a factor a channel. */
  readonly scale: string;
  /** Row layout of the same rows as one sequence. */
  readonly whole: string;
}

/** base + scale ⊙ x (LayerScale, arXiv 2103.17239); in base's memory where nobody else needs it. */
export function layerScale(block: ProgramBuilder, base: Value, shape: LayerScaleShape): Value {
  const { x } = shape;
  const scale = block.parameter(shape.scale, [base.width]);
  const out = block.value(base.width, base.rows);
  block.add({
    name: 'layerScale',
    inputs: [base, x],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const { kernels } = context.bindings.device;
      const input = context.get(base);
      const output = context.reuse(base, out) ? input : context.create(out);
      if (output !== input) kernels.cast({ x: input, out: output });
      kernels.gatedAdd({ x: context.get(x), ...gateOf(context), out: output });
    },

    backward(context) {
      const { dOut } = context;
      const { kernels } = context.bindings.device;
      if (context.needsGradient(base)) context.passThrough(base, dOut);
      if (!context.needsGradient(x)) return;
      context.contribute(x, (dX, accumulate) =>
        // The frozen scale needs no gradient, the only thing that x is read for.
        kernels.gatedAddBackward({ dOut, x: dOut, ...gateOf(context), dX, accumulate }),
      );
    },
  });
  return out;

  function gateOf({ bindings }: Pick<ForwardContext, 'bindings'>) {
    const sequences: SequenceLayout = bindings.layout(shape.whole);
    if (sequences.offsets.length !== 2)
      throw new Error(
        `layerScale: ${shape.whole} has ${sequences.offsets.length - 1} sequences, 1 expected`,
      );
    return { gate: bindings.parameter(scale).reshape([1, base.width]), sequences };
  }
}
