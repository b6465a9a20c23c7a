import { assertLive, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * out[rows[i]] = x[i]; the other rows stay. A row may be named more than once where all that is
 * written to it is equal.
 */
export interface ScatterRowsOptions {
  readonly x: Tensor;
  readonly rows: Tensor;
  readonly out: Tensor;
}

export const scatterRows: LaunchedKernel<ScatterRowsOptions> = {
  work({ x, rows, out }) {
    const [, width] = matrix('scatterRows', out);
    assertLive(out);
    assertShape('scatterRows', x, [rows.size, width]);
    return streaming(x, 0, [rows, x, x]);
  },
};
