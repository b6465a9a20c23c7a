import type { RopeOptions } from '@emloc/device';

import type { BlockBindings } from '../bindings.js';
import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface RopeShape {
  /** Name of the rotary table. */
  readonly table: string;
  readonly heads: number;
  /** How many of a head's first elements rotate. Default: all. */
  readonly rotaryDim?: number;
  /** Which two elements make a pair. Default: those half of the rotated ones apart. */
  readonly pairs?: 'halves' | 'adjacent';
}

/** Rotary positions (arXiv 2104.09864): its backward is the inverse rotation of the gradient. */
export function rope(block: ProgramBuilder, x: Value, shape: RopeShape): Value {
  const { table, heads, rotaryDim, pairs } = shape;
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'rope',
    inputs: [x],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const { bindings } = context;
      const input = context.get(x);
      bindings.device.kernels.rope({
        x: input,
        out: context.reuse(x, out) ? input : context.create(out),
        ...rotation(bindings),
        heads,
        rotaryDim,
        pairs,
      });
    },

    backward(context) {
      if (!context.needsGradient(x)) return;
      const { bindings } = context;
      const [dX] = context.own([x]);
      if (!dX) return;
      bindings.device.kernels.rope({
        x: context.dOut,
        out: dX,
        ...rotation(bindings),
        heads,
        rotaryDim,
        pairs,
        inverse: true,
      });
    },
  });
  return out;

  function rotation(bindings: BlockBindings): Pick<RopeOptions, 'cos' | 'sin' | 'positions'> {
    const { cos, sin, entries } = bindings.rope(table);
    return { cos, sin, positions: entries ?? bindings.layout(x.rows).positions };
  }
}
