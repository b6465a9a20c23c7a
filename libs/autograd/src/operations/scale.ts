import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/** factor · x; in x's memory where nobody else needs x. */
export function scale(block: ProgramBuilder, x: Value, factor: number): Value {
  if (factor === 1) return x;
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'scale',
    inputs: [x],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const input = context.get(x);
      const output = context.reuse(x, out) ? input : context.create(out);
      context.bindings.device.kernels.scaleBy({ x: input, out: output, factor });
    },

    backward(context) {
      if (!context.needsGradient(x)) return;
      const { kernels } = context.bindings.device;
      context.contribute(x, (dX, accumulate) => {
        if (accumulate) kernels.add({ x: context.dOut, out: dX, alpha: factor });
        else kernels.scaleBy({ x: context.dOut, out: dX, factor });
      });
    },
  });
  return out;
}
