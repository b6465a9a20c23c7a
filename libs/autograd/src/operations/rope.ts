import type { OperationRule, RopeOperation } from './operation.js';

/** A rotation: its backward is the inverse rotation of the gradient. */
export const rope: OperationRule<RopeOperation> = {
  inputs: ({ x }) => [x],
  saves: () => [],
  isCheap: false,

  forward(context, { x, out, heads }) {
    const { device, rope: tables, sequences } = context.bindings;
    const input = context.get(x);
    const output = context.reuse(x, out) ? input : context.create(out);
    device.kernels.rope({
      x: input,
      out: output,
      ...tables,
      positions: sequences.positions,
      heads,
    });
  },

  backward(context, { x, heads }) {
    if (!context.needsGradient(x)) return;
    const { device, rope: tables, sequences } = context.bindings;
    context.contribute(x, (dX, accumulate) => {
      if (accumulate) throw new Error('rope: its input must have no other user');
      device.kernels.rope({
        x: context.dOut,
        out: dX,
        ...tables,
        positions: sequences.positions,
        heads,
        inverse: true,
      });
    });
  },
};
