import {
  fromValues,
  identity,
  matrix,
  multiply,
  randomMatrix,
  symmetricEigen,
  transpose,
} from '../test/matrix.js';
import { inputStatistic, problemOf, upload } from '../test/problem.js';
import { openReferenceDevice } from '../test/reference-device.js';
import { solveEigenproblem } from './eigenproblem.js';
import { PieceScope } from './piece-scope.js';

/** Orthonormal columns with the span of a random matrix. */
function orthonormalColumns(rows: number, columns: number, seed: number) {
  const random = randomMatrix(rows, columns, seed);
  const { values, vectors } = symmetricEigen(multiply(transpose(random), random));
  return multiply(
    random,
    transpose(vectors),
    matrix(columns, columns, (row, column) =>
      row === column ? (values[row] as number) ** -0.5 : 0,
    ),
  );
}

describe('basis of a tall weight', () => {
  test.each([
    ['float64', 1e-10],
    ['float32', 1e-6],
  ] as const)(
    '%s: columns are orthonormal down to the smallest singular values, and zero where those are rounding',
    async (statisticsDType, tolerance) => {
      const [out, inFeatures] = [40, 24];
      const singularValues = matrix(inFeatures, inFeatures, (row, column) =>
        row === column ? 10 ** (-row / 2) : 0,
      );
      const w = multiply(
        orthonormalColumns(out, inFeatures, 1),
        singularValues,
        transpose(orthonormalColumns(inFeatures, inFeatures, 2)),
      );
      const problem = problemOf(
        { ...w, values: w.values.map(Math.fround) },
        randomMatrix(100, inFeatures, 3),
      );
      const device = openReferenceDevice({ statisticsDType });
      using scope = new PieceScope(device, 'test');
      const weight = upload(device, problem.w, 'w');
      const { basis } = await solveEigenproblem({
        scope,
        weight,
        statistic: inputStatistic(problem),
        rank: inFeatures,
        paddedRank: inFeatures,
      });
      const u = fromValues(await device.download(basis), out, inFeatures);
      const gram = multiply(transpose(u), u);
      const kept = identity(inFeatures).values.map((one, i) =>
        one && (gram.values[i] as number) > 0.5 ? 1 : 0,
      );
      expect(kept.reduce((sum, value) => sum + value, 0)).toBeGreaterThan(
        statisticsDType === 'float64' ? 12 : 5,
      );
      for (const [i, value] of gram.values.entries())
        expect(Math.abs(value - (kept[i] as number))).toBeLessThan(tolerance);
      scope[Symbol.dispose]();
      weight.dispose();
      expect(device.liveTensors).toBe(0);
    },
  );
});
