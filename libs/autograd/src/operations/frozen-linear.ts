import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface FrozenLinearShape {
  /** Module path: parameters `${name}.weight` (outFeatures, width of x), `${name}.bias`. */
  readonly name: string;
  readonly outFeatures: number;
  /** Shape of the weight in checkpoints, e.g. a convolution's. */
  readonly storedShape: readonly number[];
}

/** y = x Wᵀ + bias, by a weight that is never adapted and that no factors stand in for. */
export function frozenLinear(block: ProgramBuilder, x: Value, shape: FrozenLinearShape): Value {
  const { name, outFeatures, storedShape } = shape;
  const weight = block.parameter(`${name}.weight`, [outFeatures, x.width], storedShape);
  const bias = block.parameter(`${name}.bias`, [outFeatures]);
  const out = block.value(outFeatures, x.rows);
  block.add({
    name: 'frozenLinear',
    inputs: [x],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const { bindings } = context;
      const { kernels } = bindings.device;
      const output = context.create(out);
      const b = bindings.parameter(weight);
      const a = context.get(x);
      kernels.gemm({ a, b, transposeB: true, out: output, bias: bindings.parameter(bias) });
    },

    backward(context) {
      if (!context.needsGradient(x)) return;
      const { bindings, dOut: a } = context;
      const b = bindings.parameter(weight);
      context.contribute(x, (dX, accumulate) =>
        bindings.device.kernels.gemm({ a, b, out: dX, accumulate }),
      );
    },
  });
  return out;
}
