import type { DType } from '@emloc/device';

import { rounded } from '../host-values.js';

/** Every value to the nearest of the dtype, ties to even. */
export function cast(x: readonly number[], to: DType): number[] {
  return x.map((value) => rounded(value, to));
}
