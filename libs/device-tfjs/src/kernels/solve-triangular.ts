import type { SolveTriangularOptions } from '@emloc/device';
import { assertShape } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';
import { hostValues, writeBack } from '../host-values.js';

/** On the host in float64, rounded to float32 at the end. */
export async function solveTriangular(
  context: TfjsContext,
  { x, l }: SolveTriangularOptions,
): Promise<void> {
  const n = x.dim(1);
  assertShape('solveTriangular', l, [n, n]);
  if (x.size === 0) return;
  const [values, factor] = [await hostValues(context, x), await hostValues(context, l)];
  context.factorizations.solveTriangular(values, factor, n);
  writeBack(context, x, values);
}
