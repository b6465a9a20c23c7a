import type { Tensor } from '@emloc/device';

import { float32 } from './memory.js';

/** What gradients are multiplied by so that their global norm does not exceed `maxNorm`. */
export function gradientClip(squaredNorms: Tensor, maxNorm: number): number {
  let total = 0;
  for (const squaredNorm of float32(squaredNorms)) total += squaredNorm;
  return maxNorm === Number.POSITIVE_INFINITY
    ? 1
    : Math.min(1, maxNorm / (Math.sqrt(total) + 1e-6));
}
