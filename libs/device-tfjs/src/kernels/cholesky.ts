import type { CholeskyOptions } from '@emloc/device';
import { assertShape } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';
import { hostValues, writeBack } from '../host-values.js';

/** On the host in float64, rounded to float32 at the end. */
export async function cholesky(context: TfjsContext, { a }: CholeskyOptions): Promise<boolean> {
  const n = a.dim(0);
  assertShape('cholesky', a, [n, n]);
  if (n === 0) return true;
  const factor = await hostValues(context, a);
  if (!(await context.factorizations.cholesky(factor, n))) return false;
  for (let i = 0; i < n - 1; i += 1) factor.fill(0, i * n + i + 1, (i + 1) * n);
  writeBack(context, a, factor);
  return true;
}
