import { assertEqualSizes } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out = x with conversion between float32, bfloat16 (round to nearest even) and float64. Equal
 * dtypes copy.
 */
export interface CastOptions {
  readonly x: Tensor;
  readonly out: Tensor;
}

export const cast: LaunchedKernel<CastOptions> = {
  work({ x, out }) {
    assertEqualSizes('cast', x, out);
    return streaming(x, 0, [x, out]);
  },
};
