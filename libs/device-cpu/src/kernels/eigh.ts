import type { EighOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import type { CpuContext } from '../context.js';
import { widened } from '../widened.js';

/** In float64, whatever the operands are. */
export async function eigh(
  { linearAlgebra }: CpuContext,
  { a, values }: EighOptions,
): Promise<void> {
  assertShape('eigh', a, [values.size, values.size]);
  if (values.size === 0) return;
  await widened(a, (vectors) =>
    widened(values, (eigenvalues) => linearAlgebra.eigh(vectors, eigenvalues)),
  );
}
