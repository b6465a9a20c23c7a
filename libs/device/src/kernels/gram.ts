import { assertLive, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';

/**
 * out += xᵀ x, products in float32 (or better), sums in out's dtype. The whole symmetric matrix is
 * valid afterwards.
 */
export interface GramOptions {
  /** (N, n) in the compute dtype */
  readonly x: Tensor;
  /** (n, n) in the profile's statistics dtype */
  readonly out: Tensor;
}

export const gram: LaunchedKernel<GramOptions> = {
  work({ x, out }) {
    const [rows, columns] = matrix('gram', x);
    assertLive(x, out);
    assertShape('gram', out, [columns, columns]);
    return { flops: 2 * rows * columns * columns, bytes: bytesOf(x, out, out) };
  },
  probe: {
    boundBy: 'arithmetic',
    prepare: ({ tensor, statisticsDType }, shape) => {
      const n = shape.hiddenSize;
      return {
        options: { x: tensor([probeRows(shape), n]), out: tensor([n, n], statisticsDType) },
      };
    },
  },
};
