import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import type { ForwardContext } from './operation.js';

export interface LayerNormShape {
  readonly epsilon: number;
  /** Names of parameters (width); null: all ones, and zeros. */
  readonly weight: string | null;
  readonly bias: string | null;
}

/** (x − mean) / sqrt(variance + epsilon) · weight + bias over a row (arXiv 1607.06450). */
export function layerNorm(block: ProgramBuilder, x: Value, shape: LayerNormShape): Value {
  const { epsilon } = shape;
  const declare = (name: string | null): string | null =>
    name === null ? null : block.parameter(name, [x.width]);
  const [weight, bias] = [declare(shape.weight), declare(shape.bias)];
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'layerNorm',
    inputs: [x],
    outputs: [out],
    isCheap: true,
    saves: () => [x],
    leavesAux: () => true,

    forward(context) {
      const rows = [context.rows(x)];
      context.bindings.device.kernels.layerNorm({
        ...operands(context),
        out: context.create(out),
        mean: context.aux(rows, 'float32', 'layerNorm.mean'),
        inverseStd: context.aux(rows, 'float32', 'layerNorm.inverseStd'),
      });
    },

    backward(context) {
      const [mean, inverseStd] = context.aux;
      if (!mean || !inverseStd) return;
      const { kernels } = context.bindings.device;
      const { x: input, weight: factor } = operands(context);
      const again = context.restore(out);
      if (again) kernels.layerNorm({ ...operands(context), out: again, mean, inverseStd });
      if (!context.needsGradient(x)) return;
      const { dOut } = context;
      context.contribute(x, (dX, accumulate) =>
        kernels.layerNormBackward({
          dOut,
          x: input,
          weight: factor,
          mean,
          inverseStd,
          dX,
          accumulate,
        }),
      );
    },
  });
  return out;

  function operands(context: Pick<ForwardContext, 'bindings' | 'get'>) {
    const { bindings } = context;
    return {
      x: context.get(x),
      weight: weight === null ? null : bindings.parameter(weight),
      bias: bias === null ? null : bindings.parameter(bias),
      epsilon,
    };
  }
}
