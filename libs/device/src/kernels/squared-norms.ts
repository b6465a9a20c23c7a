import { assertLive, assertShape } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';

/**
 * out[i] (float32) = Σ x² of each tensor, summed in float64 or in float32 with a fixed order; NaN
 * and Inf pass through.
 */
export interface SquaredNormsOptions {
  readonly tensors: readonly Tensor[];
  /** float32 (tensors.length) */
  readonly out: Tensor;
}

export const squaredNorms: LaunchedKernel<SquaredNormsOptions> = {
  work({ tensors, out }) {
    assertShape('squaredNorms', out, [tensors.length]);
    const elements = tensors.reduce((sum, tensor) => sum + tensor.size, 0);
    assertLive(...tensors, out);
    return { flops: 2 * elements, bytes: bytesOf(...tensors, out) };
  },
};
