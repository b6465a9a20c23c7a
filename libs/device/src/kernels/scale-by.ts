import { assertShape } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/** out = factor · x. `out` may be `x`. */
export interface ScaleByOptions {
  readonly x: Tensor;
  readonly out: Tensor;
  readonly factor: number;
}

export const scaleBy: LaunchedKernel<ScaleByOptions> = {
  work({ x, out }) {
    assertShape('scaleBy', out, x.shape);
    return streaming(x, 1, [x, out]);
  },
};
