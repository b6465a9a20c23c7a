import assert from 'node:assert/strict';
import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { gemm } from '../reference/gemm.js';

async function checkGram(fixture: Fixture, rows: number, n: number, layout: Layout): Promise<void> {
  const dtype = fixture.statistics;
  const [x, seed] = [fixture.values([rows, n]), fixture.values([n, n], { dtype })];
  const before = seed.map((value, i) => value + at(seed, (i % n) * n + Math.floor(i / n)));
  const out = fixture.tensor(before, [n, n], { dtype });
  fixture.device.kernels.gram({ x: fixture.tensor(x, [rows, n], { layout }), out });
  const product = gemm(x, x, { m: n, n, k: rows, transposeA: true });
  // Products may be float32 whatever the sums are.
  await fixture.assertClose(
    out,
    product.map((value, i) => value + at(before, i)),
    'out',
    'float32',
  );
  const result = await fixture.read(out);
  result.forEach((value, i) =>
    assert.equal(value, result[(i % n) * n + Math.floor(i / n)], `element ${i} and its mirror`),
  );
}

/**
 * A symmetric matrix with these eigenvalues: a product of random reflections around the diagonal.
 */
function symmetric(fixture: Fixture, values: readonly number[]): Float64Array {
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

async function checkEigh(fixture: Fixture, eigenvalues: readonly number[]): Promise<void> {
  const n = eigenvalues.length;
  const dtype = fixture.statistics;
  const tolerance = dtype === 'float64' ? 1e-11 : 2e-5;
  const a = symmetric(fixture, eigenvalues);
  const [tensor, valueTensor] = [fixture.tensor(a, [n, n], { dtype }), fixture.output([n], dtype)];
  await fixture.device.kernels.eigh({ a: tensor, values: valueTensor });
  const [vectors, values] = [await fixture.read(tensor), await fixture.read(valueTensor)];
  const norm = Math.max(1e-30, ...eigenvalues.map(Math.abs));
  [...eigenvalues]
    .sort((x, y) => x - y)
    .forEach((expected, i) => {
      assert.ok(
        Math.abs(at(values, i) - expected) <= tolerance * norm,
        `value ${i} is ${values[i]}, expected ${expected}`,
      );
      assert.ok(i === 0 || at(values, i) >= at(values, i - 1), `value ${i} is not ascending`);
    });
  const gram = gemm(vectors, vectors, { m: n, n, k: n, transposeB: true });
  gram.forEach((value, i) =>
    assert.ok(
      Math.abs(value - (i % (n + 1) === 0 ? 1 : 0)) <= tolerance * 10,
      `vectors are not orthonormal: ${value}`,
    ),
  );
  const residual = gemm(vectors, a, { m: n, n, k: n });
  residual.forEach((value, i) => {
    const expected = at(values, Math.floor(i / n)) * at(vectors, i);
    assert.ok(
      Math.abs(value - expected) <= tolerance * 10 * norm,
      `row ${Math.floor(i / n)} is no eigenvector: ${value - expected}`,
    );
  });
}

async function checkCholesky(fixture: Fixture, n: number): Promise<void> {
  const dtype = fixture.statistics;
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

export const statisticsCases: readonly CaseDefinition[] = [
  ...group('gram', {
    'adds xᵀ x, the whole symmetric matrix': (fixture) => checkGram(fixture, 37, 23, 'whole'),
    'reads row views': (fixture) => checkGram(fixture, 11, 13, 'rows'),
    'takes rows past every chunk': (fixture) => checkGram(fixture, 300, 33, 'whole'),
    'takes one row': (fixture) => checkGram(fixture, 1, 5, 'whole'),
  }),
  ...group('eigh', {
    'finds ascending values and orthonormal vectors as rows': (fixture) =>
      checkEigh(
        fixture,
        Array.from({ length: 65 }, (_, i) => Math.sin(i) * 3),
      ),
    'solves one and two dimensions': async (fixture) => {
      await checkEigh(fixture, [-2]);
      await checkEigh(fixture, [3, -1]);
    },
    'keeps vectors orthonormal for repeated values': (fixture) =>
      checkEigh(
        fixture,
        Array.from({ length: 24 }, (_, i) => (i < 12 ? 1 : 2)),
      ),
    'solves rank-deficient matrices': (fixture) =>
      checkEigh(
        fixture,
        Array.from({ length: 40 }, (_, i) => Math.max(0, i - 30)),
      ),
    'solves values of very different sizes': (fixture) =>
      checkEigh(
        fixture,
        Array.from({ length: 30 }, (_, i) => 10 ** -(i / 3)),
      ),
    'solves diagonal and zero matrices': async (fixture) => {
      const dtype = fixture.statistics;
      const [diagonal, values] = [
        fixture.tensor([2, 0, 0, 0, -1, 0, 0, 0, 1], [3, 3], { dtype }),
        fixture.output([3], dtype),
      ];
      await fixture.device.kernels.eigh({ a: diagonal, values });
      await fixture.assertClose(values, [-1, 1, 2], 'values');
      await fixture.device.kernels.eigh({
        a: fixture.tensor(new Float64Array(9), [3, 3], { dtype }),
        values,
      });
      await fixture.assertEqual(values, [0, 0, 0], 'values of zero');
    },
  }),
  ...group('cholesky', {
    'factors with zeros above the diagonal': async (fixture) => {
      for (const n of [1, 2, 33, 130]) await checkCholesky(fixture, n);
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
  }),
];
