import type { SquaredNormsOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import { float32, floats } from '../memory.js';

/** Sums in float64. */
export function squaredNorms({ tensors, out }: SquaredNormsOptions): void {
  assertShape('squaredNorms', out, [tensors.length]);
  const norms = float32(out);
  tensors.forEach((tensor, index) => {
    norms[index] = squaredNorm(floats(tensor));
  });
}

function squaredNorm(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += (values[i] as number) * (values[i] as number);
  return sum;
}
