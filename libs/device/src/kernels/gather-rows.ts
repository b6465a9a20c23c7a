import { assertLive, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/** out[i] = table[rows[i]]: gathering of rows, embedding lookup. */
export interface GatherRowsOptions {
  /** (V, d) */
  readonly table: Tensor;
  /** int32 (N) */
  readonly rows: Tensor;
  /** (N, d) */
  readonly out: Tensor;
}

export const gatherRows: LaunchedKernel<GatherRowsOptions> = {
  work({ table, rows, out }) {
    const [, width] = matrix('gatherRows', table);
    assertLive(table);
    assertShape('gatherRows', out, [rows.size, width]);
    return streaming(out, 0, [rows, out, out]);
  },
};
