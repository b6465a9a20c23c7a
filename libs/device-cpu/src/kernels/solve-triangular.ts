import type { SolveTriangularOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import type { CpuContext } from '../context.js';
import { widened } from '../widened.js';

/** In float64, whatever the operands are. */
export async function solveTriangular(
  { linearAlgebra }: CpuContext,
  { x, l }: SolveTriangularOptions,
): Promise<void> {
  const [rows, n] = [x.dim(0), x.dim(1)];
  assertShape('solveTriangular', l, [n, n]);
  if (rows === 0 || n === 0) return;
  await widened(x, (values) =>
    widened(l, async (factor) => linearAlgebra.solveTriangular(values, factor, n)),
  );
}
