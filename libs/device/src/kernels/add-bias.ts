import { assertShape, lastExtent } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/** out[i, :] += bias, for every row. */
export interface AddBiasOptions {
  /** (n) */
  readonly bias: Tensor;
  /** (N, n) */
  readonly out: Tensor;
}

export const addBias: LaunchedKernel<AddBiasOptions> = {
  work({ bias, out }) {
    assertShape('addBias', bias, [lastExtent(out)]);
    return streaming(out, 1, [bias, out, out]);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }, shape) => {
      const columns = shape.hiddenSize;
      return { options: { bias: tensor([columns]), out: tensor([probeRows(shape), columns]) } };
    },
  },
};
