import { at } from '@emloc/checked';

import type { Fixture } from './fixture.js';
import { gemm } from './reference/gemm.js';

/**
 * A symmetric matrix with these eigenvalues: a product of random reflections around the diagonal.
 */
export function symmetric(fixture: Fixture, values: readonly number[]): Float64Array {
  const n = values.length;
  let a: Float64Array = Float64Array.from({ length: n * n }, (_, i) =>
    i % (n + 1) === 0 ? at(values, i / (n + 1)) : 0,
  );
  for (let round = 0; round < 2; round += 1) {
    const v = fixture.values([n], { dtype: 'float32' });
    const square = v.reduce((sum, value) => sum + value * value, 0);
    const reflection = Float64Array.from({ length: n * n }, (_, i) => {
      const [row, column] = [Math.floor(i / n), i % n];
      return (row === column ? 1 : 0) - (2 * at(v, row) * at(v, column)) / square;
    });
    a = gemm(gemm(reflection, a, { m: n, n, k: n }), reflection, { m: n, n, k: n });
  }
  return a.map((value, i) => (value + at(a, (i % n) * n + Math.floor(i / n))) / 2);
}
