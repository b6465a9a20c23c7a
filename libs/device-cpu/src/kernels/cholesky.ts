import type { CholeskyOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import type { CpuContext } from '../context.js';
import { widened } from '../widened.js';

/** In float64, whatever the operand is. */
export async function cholesky(
  { linearAlgebra }: CpuContext,
  { a }: CholeskyOptions,
): Promise<boolean> {
  const n = a.dim(0);
  assertShape('cholesky', a, [n, n]);
  if (n === 0) return true;
  return widened(a, async (factor) => {
    if (!(await linearAlgebra.cholesky(factor, n))) return false;
    for (let i = 0; i < n - 1; i += 1) factor.fill(0, i * n + i + 1, (i + 1) * n);
    return true;
  });
}
