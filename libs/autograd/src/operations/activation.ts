import type { ActivationOptions } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/** act(x), elementwise (GELU: arXiv 1606.08415). */
export function activation(
  block: ProgramBuilder,
  x: Value,
  kind: ActivationOptions['kind'],
): Value {
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'activation',
    inputs: [x],
    outputs: [out],
    isCheap: true,
    saves: () => [x],

    forward(context) {
      const { kernels } = context.bindings.device;
      kernels.activation({ x: context.get(x), kind, out: context.create(out) });
    },

    backward(context) {
      const { kernels } = context.bindings.device;
      const again = context.restore(out);
      if (again) kernels.activation({ x: context.get(x), kind, out: again });
      if (!context.needsGradient(x)) return;
      context.contribute(x, (dX, accumulate) =>
        kernels.activationBackward({
          dOut: context.dOut,
          x: context.get(x),
          kind,
          dX,
          accumulate,
        }),
      );
    },
  });
  return out;
}
