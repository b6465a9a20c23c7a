import assert from 'node:assert/strict';
import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';
import { gemm } from '../reference/gemm.js';
import { symmetric } from '../symmetric.js';

async function checkCholesky(
  fixture: Fixture,
  n: number,
  dtype: 'float32' | 'float64' = fixture.statistics,
): Promise<void> {
  const a = symmetric(
    fixture,
    Array.from({ length: n }, (_, i) => 0.5 + i / n),
  );
  const tensor = fixture.tensor(a, [n, n], { dtype });
  assert.equal(await fixture.device.kernels.cholesky({ a: tensor }), true);
  const factor = await fixture.read(tensor);
  factor.forEach((value, i) =>
    assert.ok(
      i % n <= Math.floor(i / n) || value === 0,
      `element ${i} above the diagonal is ${value}`,
    ),
  );
  const product = gemm(factor, factor, { m: n, n, k: n, transposeB: true });
  const tolerance = dtype === 'float64' ? 1e-12 : 1e-5;
  product.forEach((value, i) =>
    assert.ok(
      Math.abs(value - at(a, i)) <= tolerance * 2,
      `L Lᵀ differs at ${i} by ${value - at(a, i)}`,
    ),
  );
}

export const choleskyCases: readonly CaseDefinition[] = group('cholesky', {
  'factors with zeros above the diagonal': async (fixture) => {
    for (const n of [1, 2, 33, 130]) await checkCholesky(fixture, n);
  },
  'factors in float32 whatever the statistics are in': (fixture) =>
    checkCholesky(fixture, 33, 'float32'),
  'says that an indefinite float32 matrix is not positive definite': async (fixture) => {
    const a = fixture.tensor(symmetric(fixture, [3, 2, 1, -1e-2, 4]), [5, 5], { dtype: 'float32' });
    assert.equal(await fixture.device.kernels.cholesky({ a }), false);
  },
  'says that an indefinite matrix is not positive definite': async (fixture) => {
    const a = fixture.tensor(symmetric(fixture, [3, 2, 1, -1e-2, 4]), [5, 5], {
      dtype: fixture.statistics,
    });
    assert.equal(await fixture.device.kernels.cholesky({ a }), false);
  },
  'says that a zero matrix is not positive definite': async (fixture) => {
    assert.equal(
      await fixture.device.kernels.cholesky({
        a: fixture.tensor(new Float64Array(9), [3, 3], { dtype: fixture.statistics }),
      }),
      false,
    );
  },
});
