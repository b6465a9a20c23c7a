import { assertShape } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/** out += alpha · x, equal shapes. */
export interface AddOptions {
  readonly x: Tensor;
  readonly out: Tensor;
  readonly alpha?: number;
}

export const add: LaunchedKernel<AddOptions> = {
  work({ x, out }) {
    assertShape('add', x, out.shape);
    return streaming(out, 2, [x, out, out]);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }, shape) => {
      const size = [probeRows(shape), shape.hiddenSize];
      return { options: { x: tensor(size), out: tensor(size), alpha: 1e-3 } };
    },
  },
};
