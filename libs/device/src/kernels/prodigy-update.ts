import { at } from '@emloc/checked';

import { assertCount, assertLive, assertShape } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';

/**
 * The second half of a step of Prodigy, see `prodigyMoments`: θ ← (1 − stepSize · weightDecay) θ −
 * stepSize · m / (√v + epsilon). All tensors float32, one list entry per parameter.
 */
export interface ProdigyUpdateOptions {
  readonly parameters: readonly Tensor[];
  readonly firstMoments: readonly Tensor[];
  readonly secondMoments: readonly Tensor[];
  /** Learning rate · distance, corrected for the moments' bias. */
  readonly stepSize: number;
  /** Times the distance, as the moments are. */
  readonly epsilon: number;
  readonly weightDecay: number;
}

export const prodigyUpdate: LaunchedKernel<ProdigyUpdateOptions> = {
  work({ parameters, firstMoments, secondMoments }) {
    for (const [name, list] of Object.entries({ firstMoments, secondMoments })) {
      assertCount('prodigyUpdate', name, list.length, parameters.length);
      parameters.forEach(({ shape }, i) => assertShape('prodigyUpdate', at(list, i), shape));
      assertLive(...list);
    }
    assertLive(...parameters);
    const elements = parameters.reduce((sum, { size }) => sum + size, 0);
    // Reads three float32 an element, writes one.
    return { flops: 6 * elements, bytes: 16 * elements };
  },
};
