import type { EighOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float64 } from '../memory.js';

export async function eigh(
  { linearAlgebra }: CpuContext,
  { a, values }: EighOptions,
): Promise<void> {
  assertShape('eigh', a, [values.size, values.size]);
  if (values.size > 0) await linearAlgebra.eigh(float64(a), float64(values));
}
