import {
  combine,
  createNormal,
  fromValues,
  identity,
  matrix,
  multiply,
  randomMatrix,
  symmetricEigen,
  trace,
  transpose,
  type Matrix,
} from '../test/matrix.js';
import {
  createProblem,
  inputStatistic,
  outputError,
  outputStatistic,
  upload,
  type TestProblem,
} from '../test/problem.js';
import { openReferenceDevice } from '../test/reference-device.js';
import { factorize } from './factorize.js';
import type { GradientStatistic, LayerStatistic } from './statistics.js';

/** A problem with gradients of its outputs. */
interface LossProblem extends TestProblem {
  readonly gradient: GradientStatistic;
  /** Ô = O + ε (tr O / out) I */
  readonly weights: Matrix;
}

function withGradients(problem: TestProblem, tokens: number, seed: number): LossProblem {
  const { w } = problem;
  const sizes = matrix(w.rows, w.rows, (row, column) => (row === column ? 4 ** -(row % 5) : 0));
  const g = multiply(randomMatrix(tokens, w.rows, seed), sizes);
  return withStatistic(problem, multiply(transpose(g), g));
}

function withStatistic(problem: TestProblem, o: Matrix): LossProblem {
  const { w } = problem;
  const isTall = w.rows > w.columns;
  const sum = isTall ? multiply(transpose(w), o, w) : o;
  const shift = trace(o) > 0 ? (1e-3 * trace(o)) / w.rows : 1;
  return {
    ...problem,
    weights: combine(o, identity(w.rows), shift),
    gradient: {
      kind: isTall ? 'input' : 'output',
      linear: 'linear',
      features: sum.rows,
      outFeatures: w.rows,
      squaredNorm: trace(o),
      matrix: sum.values,
    },
  };
}

async function factorsOf(
  { w, gradient }: LossProblem,
  statistic: LayerStatistic,
  rank: number,
): Promise<{ u: Matrix; v: Matrix; relativeError: number; usedFallback: boolean }> {
  const device = openReferenceDevice({ rankMultiple: 4 });
  const weight = upload(device, w, 'w');
  const factors = await factorize({ device, weight, statistic, gradient, rank });
  const { u, v, paddedRank, relativeError, usedFallback } = factors;
  const host = {
    u: fromValues(await device.download(u), w.rows, paddedRank),
    v: fromValues(await device.download(v), paddedRank, w.columns),
  };
  for (const tensor of [u, v, weight]) tensor.dispose();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, device.profile.reserveBytes]);
  return { ...host, relativeError, usedFallback };
}

/** ‖Ô^½ (W − W_E) Ĝ^½‖²_F */
function lossError({ w, damped, weights }: LossProblem, approximation: Matrix): number {
  const difference = combine(w, approximation, -1);
  return trace(multiply(weights, difference, damped, transpose(difference)));
}

/** λ, descending: eigenvalues of Ô^½ W Ĝ Wᵀ Ô^½. */
function spectrum({ w, damped, weights }: LossProblem): Float64Array {
  const { values, vectors } = symmetricEigen(weights);
  const root = multiply(
    transpose(vectors),
    matrix(w.rows, w.rows, (row, column) =>
      row === column ? Math.sqrt(values[row] as number) : 0,
    ),
    vectors,
  );
  return symmetricEigen(multiply(root, w, damped, transpose(w), root)).values.reverse();
}

function sumFrom(values: Float64Array, start: number): number {
  return values.subarray(start).reduce((sum, value) => sum + Math.max(0, value), 0);
}

const cases = [
  { shape: 'wide', out: 10, inFeatures: 17 },
  { shape: 'square', out: 13, inFeatures: 13 },
  { shape: 'tall', out: 19, inFeatures: 11 },
].flatMap((shape) => [
  { ...shape, statistics: 'full-rank', tokens: 60 },
  { ...shape, statistics: 'rank-deficient', tokens: 5 },
]);

describe('factorisation in the metric of the loss', () => {
  test.each(cases)(
    'leaves exactly the tail of the spectrum: $shape weight, $statistics statistics',
    async ({ out, inFeatures, tokens }) => {
      const problem = withGradients(
        createProblem({ out, inFeatures, tokens, seed: out }),
        tokens,
        3,
      );
      const lambda = spectrum(problem);
      const total = sumFrom(lambda, 0);
      const statistics = [
        inputStatistic(problem),
        ...(out <= inFeatures ? [outputStatistic(problem)] : []),
      ];
      for (const statistic of statistics) {
        for (const rank of [1, 4, 6, Math.min(out, inFeatures)]) {
          const { u, v, relativeError } = await factorsOf(problem, statistic, rank);
          const tail = sumFrom(lambda, rank);
          const error = lossError(problem, multiply(u, v));
          expect(Math.abs(error - tail)).toBeLessThan(1e-6 * tail + 1e-11 * total);
          expect(Math.abs(relativeError ** 2 - tail / total)).toBeLessThan(
            1e-6 * (tail / total) + 1e-11,
          );
        }
      }
    },
  );

  test.each(cases)(
    'the first columns are the best of every smaller rank: $shape weight, $statistics statistics',
    async ({ out, inFeatures, tokens }) => {
      const problem = withGradients(createProblem({ out, inFeatures, tokens, seed: 9 }), tokens, 4);
      const lambda = spectrum(problem);
      const { u, v } = await factorsOf(problem, inputStatistic(problem), 8);
      for (const rank of [1, 3, 5]) {
        const first = matrix(out, rank, (row, k) => u.values[row * u.columns + k] as number);
        const rows = fromValues(v.values.subarray(0, rank * inFeatures), rank, inFeatures);
        const tail = sumFrom(lambda, rank);
        expect(Math.abs(lossError(problem, multiply(first, rows)) - tail)).toBeLessThan(
          1e-6 * tail + 1e-11 * sumFrom(lambda, 0),
        );
      }
    },
  );

  test.each(cases)(
    'no perturbed matrix of the same rank does better: $shape weight, $statistics statistics',
    async ({ out, inFeatures, tokens }) => {
      const problem = withGradients(createProblem({ out, inFeatures, tokens, seed: 5 }), tokens, 6);
      const { u, v } = await factorsOf(problem, inputStatistic(problem), 4);
      const best = lossError(problem, multiply(u, v));
      const normal = createNormal(5);
      for (let trial = 0; trial < 20; trial += 1) {
        const size = 10 ** -(trial % 5);
        const disturb = (a: Matrix): Matrix =>
          matrix(
            a.rows,
            a.columns,
            (row, k) => (a.values[row * a.columns + k] as number) + size * normal(),
          );
        const other = trial % 2 ? multiply(disturb(u), v) : multiply(u, disturb(v));
        expect(lossError(problem, other)).toBeGreaterThan(best * (1 - 1e-9));
      }
    },
  );

  test('padding is zero and the factors are balanced', async () => {
    for (const [out, inFeatures] of [
      [19, 11],
      [11, 19],
    ] as const) {
      const problem = withGradients(createProblem({ out, inFeatures, tokens: 50, seed: 8 }), 50, 2);
      const { u, v } = await factorsOf(problem, inputStatistic(problem), 5);
      const column = (k: number): Float64Array => u.values.filter((_, i) => i % 8 === k);
      const row = (k: number): Float64Array =>
        v.values.subarray(k * inFeatures, (k + 1) * inFeatures);
      for (const k of [5, 6, 7])
        expect([...column(k), ...row(k)].every((value) => value === 0)).toBe(true);
      const norm = (values: Float64Array): number =>
        Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
      for (const k of [0, 1, 2, 3, 4]) {
        expect(norm(column(k)) / norm(row(k))).toBeGreaterThan(0.05);
        expect(norm(column(k)) / norm(row(k))).toBeLessThan(20);
      }
    }
  });

  test('where no gradient ever came, every output counts alike', async () => {
    for (const [out, inFeatures] of [
      [19, 11],
      [11, 19],
    ] as const) {
      const problem = createProblem({ out, inFeatures, tokens: 40, seed: 2 });
      const unmoved = withStatistic(
        problem,
        matrix(out, out, () => 0),
      );
      const { u, v } = await factorsOf(unmoved, inputStatistic(problem), 4);
      const plain = symmetricEigen(
        multiply(problem.w, problem.damped, transpose(problem.w)),
      ).values.reverse();
      const tail = sumFrom(plain, 4);
      expect(Math.abs(outputError(problem, multiply(u, v)) - tail)).toBeLessThan(1e-6 * tail);
    }
  });

  test('an indefinite statistic takes the fallback, and the error stays the best', async () => {
    const problem = withGradients(
      createProblem({ out: 11, inFeatures: 19, tokens: 40, seed: 6 }),
      5,
      1,
    );
    const noise = 2e-3 * (problem.gradient.squaredNorm / 11);
    const values = problem.gradient.matrix.map((value, i) =>
      i % 12 === 0 ? value - noise : value,
    );
    const noisy = { ...problem, gradient: { ...problem.gradient, matrix: values as Float64Array } };
    const { u, v, usedFallback } = await factorsOf(noisy, inputStatistic(problem), 4);
    expect(usedFallback).toBe(true);
    const tail = sumFrom(spectrum(problem), 4);
    expect(lossError(problem, multiply(u, v))).toBeLessThan(1.5 * tail);
  });

  test('gradients of another layer are refused', async () => {
    const problem = withGradients(
      createProblem({ out: 19, inFeatures: 11, tokens: 20, seed: 2 }),
      20,
      2,
    );
    const other = { ...problem, gradient: { ...problem.gradient, kind: 'output' as const } };
    await expect(factorsOf(other, inputStatistic(problem), 3)).rejects.toMatchObject({
      code: 'EMULATOR_SHAPE_MISMATCH',
    });
  });
});
