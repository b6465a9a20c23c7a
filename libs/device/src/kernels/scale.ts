import { assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/** out[i, j] = x[i, j] · scale[i] (along rows), or · scale[j] (along columns). `out` may be `x`. */
export interface ScaleOptions {
  readonly x: Tensor;
  /** (rows) or (columns), dtype of x */
  readonly scale: Tensor;
  readonly along: 'rows' | 'columns';
  readonly out: Tensor;
}

export const scale: LaunchedKernel<ScaleOptions> = {
  work({ x, scale, along, out }) {
    const [rows, columns] = matrix('scale', x);
    assertShape('scale', scale, [along === 'rows' ? rows : columns]);
    assertShape('scale', out, x.shape);
    return streaming(x, 1, [x, scale, out]);
  },
};
