import type { L2NormOptions } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export type L2NormShape = Pick<L2NormOptions, 'heads' | 'epsilon' | 'scale'>;

/** scale · x / sqrt(Σ x² + epsilon) over each head. */
export function l2Norm(block: ProgramBuilder, x: Value, shape: L2NormShape): Value {
  const { heads, epsilon, scale } = shape;
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'l2Norm',
    inputs: [x],
    outputs: [out],
    isCheap: true,
    saves: () => [x],
    leavesAux: () => true,

    forward(context) {
      const inverseNorm = context.aux([context.rows(x), heads], 'float32', 'l2Norm.inverseNorm');
      context.bindings.device.kernels.l2Norm({
        ...{ x: context.get(x), heads, epsilon, scale, inverseNorm },
        out: context.create(out),
      });
    },

    backward(context) {
      const [inverseNorm] = context.aux;
      if (!inverseNorm) return;
      const { dOut } = context;
      const { kernels } = context.bindings.device;
      const operands = { x: context.get(x), heads, scale, inverseNorm };
      const again = context.restore(out);
      if (again) kernels.l2Norm({ ...operands, epsilon, out: again });
      if (!context.needsGradient(x)) return;
      context.contribute(x, (dX, accumulate) =>
        kernels.l2NormBackward({ ...operands, dOut, dX, accumulate }),
      );
    },
  });
  return out;
}
