import assert from 'node:assert/strict';
import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';
import { gemm } from '../reference/gemm.js';
import { symmetric } from '../symmetric.js';

async function checkEigh(
  fixture: Fixture,
  eigenvalues: readonly number[],
  dtype: 'float32' | 'float64' = fixture.statistics,
): Promise<void> {
  const n = eigenvalues.length;
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

export const eighCases: readonly CaseDefinition[] = group('eigh', {
  'finds ascending values and orthonormal vectors as rows': (fixture) =>
    checkEigh(
      fixture,
      Array.from({ length: 65 }, (_, i) => Math.sin(i) * 3),
    ),
  'solves in float32 whatever the statistics are in': (fixture) =>
    checkEigh(
      fixture,
      Array.from({ length: 50 }, (_, i) => Math.cos(i) * 2 ** -(i % 5)),
      'float32',
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
});
