import assert from 'node:assert/strict';
import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture } from '../fixture.js';
import { gemm } from '../reference/gemm.js';

async function checkSolution(
  fixture: Fixture,
  rows: number,
  n: number,
  dtype: 'float32' | 'float64' = fixture.statistics,
): Promise<void> {
  // What is above the diagonal is not read, and may be anything.
  const l = fixture.values([n, n], { dtype }).map((value, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    return row === column ? 2 + Math.abs(value) : column > row ? Number.NaN : value / n;
  });
  const y = fixture.values([rows, n], { dtype });
  const x = fixture.tensor(y, [rows, n], { dtype });
  await fixture.device.kernels.solveTriangular({ x, l: fixture.tensor(l, [n, n], { dtype }) });
  const solution = await fixture.read(x);
  const lower = l.map((value, i) => (i % n > Math.floor(i / n) ? 0 : value));
  const product = gemm(solution, lower, { m: rows, n, k: n, transposeB: true });
  const tolerance = dtype === 'float64' ? 1e-12 : 1e-5;
  product.forEach((value, i) =>
    assert.ok(
      Math.abs(value - at(y, i)) <= tolerance * 4,
      `x Lᵀ differs at ${i} by ${value - at(y, i)}`,
    ),
  );
}

export const solveTriangularCases: readonly CaseDefinition[] = group('solveTriangular', {
  'solves for every row, whatever is above the diagonal': async (fixture) => {
    await checkSolution(fixture, 1, 1);
    await checkSolution(fixture, 7, 33);
    await checkSolution(fixture, 150, 130);
  },
  'solves in float32 whatever the statistics are in': (fixture) =>
    checkSolution(fixture, 40, 35, 'float32'),
  'does nothing for no rows': (fixture) => checkSolution(fixture, 0, 3),
});
