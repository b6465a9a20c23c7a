import type { GramOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32, float64 } from '../memory.js';

/** Rows that are widened to float64 at once. */
export const gramChunkRows = 128;

/** Products and sums in float64. */
export function gram({ linearAlgebra, scratch }: CpuContext, { x, out }: GramOptions): void {
  const [rows, n] = matrix('gram', x);
  assertShape('gram', out, [n, n]);
  if (rows * n === 0) return;
  const [source, sums] = [float32(x), float64(out)];
  const chunk = Math.min(rows, gramChunkRows);
  const wide = scratch.float64(scratch.take(chunk * n * 8), chunk * n);
  for (let start = 0; start < rows; start += chunk) {
    const count = Math.min(chunk, rows - start);
    const values = wide.subarray(0, count * n);
    values.set(source.subarray(start * n, (start + count) * n));
    linearAlgebra.dsyrk({ rows: count, n, x: values, out: sums });
  }
  mirrorUpper(sums, n);
}

function mirrorUpper(a: Float64Array, n: number): void {
  for (let i = 1; i < n; i += 1) {
    for (let j = 0; j < i; j += 1) a[i * n + j] = a[j * n + i] as number;
  }
}
