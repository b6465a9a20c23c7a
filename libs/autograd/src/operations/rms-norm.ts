import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface RmsNormShape {
  /** Name of the weight, (width), or (width / heads) where each head is normed; null: all ones. */
  readonly weight: string | null;
  readonly epsilon: number;
  /** Added to the weight: 1 in Gemma. Default 0. */
  readonly weightOffset?: number;
  /** Parts of equal width that are normed each for itself. Default 1. */
  readonly heads?: number;
}

/** x / sqrt(mean(x²) + epsilon) · weight over a row or each of its heads (arXiv 1910.07467). */
export function rmsNorm(block: ProgramBuilder, x: Value, shape: RmsNormShape): Value {
  const { epsilon, weightOffset, heads = 1 } = shape;
  const width = x.width / heads;
  const weight = shape.weight === null ? null : block.parameter(shape.weight, [width]);
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'rmsNorm',
    inputs: [x],
    outputs: [out],
    isCheap: true,
    saves: () => [x],
    leavesAux: () => true,

    forward(context) {
      const rows = context.rows(x) * heads;
      const inverseRms = context.aux([rows], 'float32', 'rmsNorm.inverseRms');
      context.bindings.device.kernels.rmsNorm({
        x: context.get(x).reshape([rows, width]),
        weight: weight === null ? null : context.bindings.parameter(weight),
        weightOffset,
        epsilon,
        out: context.create(out).reshape([rows, width]),
        inverseRms,
      });
    },

    backward(context) {
      const [inverseRms] = context.aux;
      if (!inverseRms || !context.needsGradient(x)) return;
      const byHead = [context.rows(x) * heads, width];
      context.contribute(x, (dX, accumulate) =>
        context.bindings.device.kernels.rmsNormBackward({
          dOut: context.dOut.reshape(byHead),
          x: context.get(x).reshape(byHead),
          weight: weight === null ? null : context.bindings.parameter(weight),
          weightOffset,
          inverseRms,
          dX: dX.reshape(byHead),
          accumulate,
          out: context.restore(out)?.reshape(byHead),
        }),
      );
    },
  });
  return out;
}
