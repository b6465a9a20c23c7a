import { OutOfBudgetError, Tensor, type Device } from '@emloc/device';

import {
  combine,
  createNormal,
  diagonal,
  fromValues,
  matrix,
  multiply,
  randomMatrix,
  symmetricEigen,
  transpose,
  type Matrix,
} from '../test/matrix.js';
import {
  createProblem,
  inputStatistic,
  outputError,
  outputStatistic,
  problemOf,
  upload,
  type TestProblem,
} from '../test/problem.js';
import { openReferenceDevice, referenceProfile } from '../test/reference-device.js';
import { factorize } from './factorize.js';
import type { LayerStatistic } from './statistics.js';

interface HostFactors {
  readonly u: Matrix;
  readonly v: Matrix;
  readonly relativeError: number;
  readonly usedFallback: boolean;
}

async function factorsOf(
  problem: TestProblem,
  statistic: LayerStatistic,
  rank: number,
  device: Device = openReferenceDevice(),
  pieceBytes?: number,
): Promise<HostFactors> {
  const weight = upload(device, problem.w, 'model.layers.0.linear.weight');
  const factors = await factorize({ device, weight, statistic, rank, pieceBytes });
  const { u, v, relativeError, usedFallback } = factors;
  const [, inner = 0] = u.shape;
  expect(inner).toBe(Math.ceil(rank / device.profile.rankMultiple) * device.profile.rankMultiple);
  expect(factors).toMatchObject({ rank, paddedRank: inner });
  expect([u.dtype, v.dtype]).toEqual([device.profile.computeDType, device.profile.computeDType]);
  const host = {
    u: fromValues(await device.download(u), problem.w.rows, inner),
    v: fromValues(await device.download(v), inner, problem.w.columns),
    relativeError,
    usedFallback,
  };
  expect(device.budget.inUseBytesOf('factors')).toBe(
    device.allocatedBytes(u.shape, u.dtype) + device.allocatedBytes(v.shape, v.dtype),
  );
  for (const tensor of [u, v, weight]) tensor.dispose();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, device.profile.reserveBytes]);
  return host;
}

/** λ, descending, from the definition: eigenvalues of W Ĝ Wᵀ. */
function spectrum({ w, damped }: TestProblem): Float64Array {
  return symmetricEigen(multiply(w, damped, transpose(w))).values.reverse();
}

function sumFrom(values: Float64Array, start: number): number {
  return values.subarray(start).reduce((sum, value) => sum + Math.max(0, value), 0);
}

const shapes = [
  { shape: 'wide', out: 10, inFeatures: 17 },
  { shape: 'square', out: 13, inFeatures: 13 },
  { shape: 'tall', out: 19, inFeatures: 11 },
] as const;
const cases = shapes.flatMap((shape) => [
  { ...shape, statistics: 'full-rank', tokens: 60 },
  { ...shape, statistics: 'rank-deficient', tokens: 5 },
]);

describe('factorize', () => {
  test.each(cases)(
    'leaves exactly the tail of the spectrum: $shape weight, $statistics statistic',
    async ({ out, inFeatures, tokens }) => {
      const problem = createProblem({ out, inFeatures, tokens, seed: out });
      const lambda = spectrum(problem);
      const statistics = [
        inputStatistic(problem),
        ...(out <= inFeatures ? [outputStatistic(problem)] : []),
      ];
      for (const statistic of statistics) {
        for (const rank of [1, 4, 6, Math.min(out, inFeatures)]) {
          const { u, v, relativeError } = await factorsOf(problem, statistic, rank);
          const [tail, total] = [sumFrom(lambda, rank), sumFrom(lambda, 0)];
          const error = outputError(problem, multiply(u, v));
          expect(Math.abs(error - tail)).toBeLessThan(1e-6 * tail + 1e-12 * total);
          expect(Math.abs(relativeError ** 2 - tail / total)).toBeLessThan(
            1e-6 * (tail / total) + 1e-12,
          );
        }
      }
    },
  );

  test.each(cases)(
    'no perturbed matrix of the same rank does better: $shape weight, $statistics statistic',
    async ({ out, inFeatures, tokens }) => {
      const problem = createProblem({ out, inFeatures, tokens, seed: inFeatures });
      const { u, v } = await factorsOf(
        problem,
        out <= inFeatures ? outputStatistic(problem) : inputStatistic(problem),
        4,
      );
      const best = outputError(problem, multiply(u, v));
      const normal = createNormal(5);
      for (let trial = 0; trial < 40; trial += 1) {
        const size = 10 ** -(trial % 5);
        const disturb = (a: Matrix): Matrix =>
          matrix(
            a.rows,
            a.columns,
            (row, column) => (a.values[row * a.columns + column] as number) + size * normal(),
          );
        const other = trial % 2 ? multiply(disturb(u), v) : multiply(u, disturb(v));
        expect(outputError(problem, other)).toBeGreaterThan(best * (1 - 1e-9));
      }
    },
  );

  test.each(cases)(
    'has the error of the published whitened decomposition: $shape weight, $statistics statistic',
    async ({ out, inFeatures, tokens }) => {
      const problem = createProblem({ out, inFeatures, tokens, seed: 31 });
      const { values, vectors } = symmetricEigen(problem.damped);
      const power = (exponent: number): Matrix =>
        multiply(
          transpose(vectors),
          diagonal(values.map((value) => Math.max(value, 1e-300) ** exponent)),
          vectors,
        );
      const whitened = multiply(problem.w, power(0.5));
      const right = symmetricEigen(multiply(transpose(whitened), whitened)).vectors;
      const kept = matrix(
        4,
        inFeatures,
        (row, column) => right.values[(inFeatures - 1 - row) * inFeatures + column] as number,
      );
      const published = multiply(whitened, transpose(kept), kept, power(-0.5));
      const { u, v } = await factorsOf(
        problem,
        out <= inFeatures ? outputStatistic(problem) : inputStatistic(problem),
        4,
      );
      const [ours, theirs] = [
        outputError(problem, multiply(u, v)),
        outputError(problem, published),
      ];
      expect(Math.abs(ours - theirs)).toBeLessThan(
        1e-5 * theirs + 1e-12 * sumFrom(spectrum(problem), 0),
      );
    },
  );

  test('both eigenproblems agree in error', async () => {
    const problem = createProblem({ out: 12, inFeatures: 12, tokens: 40, seed: 3 });
    const extended = {
      ...problem,
      w: matrix(13, 12, (row, column) =>
        row < 12 ? (problem.w.values[row * 12 + column] as number) : 0,
      ),
    };
    const square = await factorsOf(problem, outputStatistic(problem), 5);
    const tall = await factorsOf(extended, inputStatistic(extended), 5);
    const [a, b] = [
      outputError(problem, multiply(square.u, square.v)),
      outputError(extended, multiply(tall.u, tall.v)),
    ];
    expect(Math.abs(a - b)).toBeLessThan(1e-8 * a);
    expect(tall.relativeError).toBeCloseTo(square.relativeError, 9);
  });

  test('padding is zero and the factors are balanced', async () => {
    const problem = createProblem({ out: 19, inFeatures: 11, tokens: 50, seed: 8 });
    const { u, v } = await factorsOf(
      problem,
      inputStatistic(problem),
      5,
      openReferenceDevice({ rankMultiple: 8 }),
    );
    expect(
      [...u.values.filter((_, i) => i % 8 >= 5), ...v.values.subarray(5 * 11)].every(
        (value) => value === 0,
      ),
    ).toBe(true);
    const normOf = (values: Float64Array): number =>
      Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    for (let k = 0; k < 5; k += 1) {
      const ratio =
        normOf(u.values.filter((_, i) => i % 8 === k)) /
        normOf(v.values.subarray(k * 11, (k + 1) * 11));
      expect(ratio).toBeGreaterThan(0.1);
      expect(ratio).toBeLessThan(10);
    }
  });

  test('a weight of less than the asked rank is kept whole, nothing counted twice', async () => {
    for (const { out, inFeatures } of shapes) {
      const low = multiply(randomMatrix(out, 3, 1), randomMatrix(3, inFeatures, 2));
      const w = { ...low, values: low.values.map(Math.fround) };
      const problem = problemOf(w, randomMatrix(40, inFeatures, 3));
      const { u, v, relativeError } = await factorsOf(problem, inputStatistic(problem), 8);
      expect(relativeError).toBeLessThan(1e-6);
      expect(outputError(problem, multiply(u, v))).toBeLessThan(
        1e-12 * sumFrom(spectrum(problem), 0),
      );
    }
  });

  test('a weight of zeros and inputs never seen give finite factors', async () => {
    for (const { out, inFeatures } of shapes) {
      const problem = createProblem({ out, inFeatures, tokens: 20, seed: 4 });
      const zero = problemOf({ ...problem.w, values: problem.w.values.map(() => 0) }, problem.x);
      expect((await factorsOf(zero, inputStatistic(zero), 3)).relativeError).toBe(0);
      const unseen = problemOf(problem.w, { ...problem.x, values: problem.x.values.map(() => 0) });
      const { u, v } = await factorsOf(unseen, inputStatistic(unseen), 3);
      const plain = symmetricEigen(multiply(problem.w, transpose(problem.w))).values.reverse();
      const error = combine(problem.w, multiply(u, v), -1).values.reduce(
        (sum, value) => sum + value * value,
        0,
      );
      expect(error).toBeCloseTo(sumFrom(plain, 3), 3);
    }
  });

  test('an indefinite statistic takes the fallback, and the error stays the best', async () => {
    const problem = createProblem({ out: 19, inFeatures: 11, tokens: 5, seed: 6 });
    const noise = 1e-6 * (problem.g.values[0] as number);
    const noisy = {
      ...inputStatistic(problem),
      matrix: problem.g.values.map((value, i) => (i % 12 === 0 ? value - noise : value)),
    };
    for (const rank of [4, 8]) {
      const clean = await factorsOf(problem, inputStatistic(problem), rank);
      const fallback = await factorsOf(problem, noisy, rank);
      expect([clean.usedFallback, fallback.usedFallback]).toEqual([false, true]);
      const [best, error] = [clean, fallback].map(({ u, v }) =>
        outputError(problem, multiply(u, v)),
      ) as [number, number];
      expect(error).toBeLessThan(best * 1.001);
    }
  });

  test('bfloat16 factors are within their rounding of the best', async () => {
    const problem = createProblem({ out: 19, inFeatures: 11, tokens: 60, seed: 9 });
    const device = openReferenceDevice({ computeDType: 'bfloat16' });
    const rounded = { ...problem, w: fromValues(await roundTrip(device, problem.w), 19, 11) };
    const { u, v } = await factorsOf(rounded, inputStatistic(rounded), 6, device);
    const lambda = spectrum(rounded);
    expect(outputError(rounded, multiply(u, v)) - sumFrom(lambda, 6)).toBeLessThan(
      1e-4 * sumFrom(lambda, 0),
    );
  });

  test.each(cases)(
    'float32 statistics stay within the float32 tolerance: $shape weight, $statistics statistic',
    async ({ out, inFeatures, tokens }) => {
      const problem = createProblem({ out, inFeatures, tokens, seed: 12 });
      const device = openReferenceDevice({ statisticsDType: 'float32' });
      const statistic = out <= inFeatures ? outputStatistic(problem) : inputStatistic(problem);
      const lambda = spectrum(problem);
      for (const rank of [1, 4, Math.min(out, inFeatures)]) {
        const { u, v } = await factorsOf(
          problem,
          { ...statistic, matrix: Float32Array.from(statistic.matrix) },
          rank,
          device,
        );
        const [tail, total] = [sumFrom(lambda, rank), sumFrom(lambda, 0)];
        expect(Math.abs(outputError(problem, multiply(u, v)) - tail)).toBeLessThan(
          1e-3 * tail + 1e-5 * total,
        );
      }
    },
  );

  test.each(cases)(
    'piece by piece is the same: $shape weight, $statistics statistic',
    async ({ out, inFeatures, tokens }) => {
      const problem = createProblem({ out, inFeatures, tokens, seed: 14 });
      for (const computeDType of ['float32', 'bfloat16'] as const) {
        const open = (): Device => openReferenceDevice({ computeDType });
        for (const statistic of [
          inputStatistic(problem),
          ...(out <= inFeatures ? [outputStatistic(problem)] : []),
        ]) {
          const whole = await factorsOf(problem, statistic, 5, open());
          for (const pieceBytes of [1, 8 * 3 * Math.max(out, inFeatures)]) {
            const pieces = await factorsOf(problem, statistic, 5, open(), pieceBytes);
            const [a, b] = [whole, pieces].map(({ u, v }) =>
              outputError(problem, multiply(u, v)),
            ) as [number, number];
            expect(Math.abs(a - b)).toBeLessThan((computeDType === 'float32' ? 1e-6 : 1e-2) * a);
            expect(pieces.relativeError).toBeCloseTo(whole.relativeError, 9);
          }
        }
      }
    },
  );

  test('refuses a rank that the weight does not have and a statistic of another layer', async () => {
    const device = openReferenceDevice();
    const problem = createProblem({ out: 19, inFeatures: 11, tokens: 20, seed: 1 });
    const weight = upload(device, problem.w, 'w');
    for (const rank of [0, 12, 1.5]) {
      await expect(
        factorize({ device, weight, statistic: inputStatistic(problem), rank }),
      ).rejects.toMatchObject({ code: 'EMULATOR_INVALID_RANK' });
    }
    await expect(
      factorize({ device, weight, statistic: outputStatistic(problem), rank: 2 }),
    ).rejects.toMatchObject({ code: 'EMULATOR_SHAPE_MISMATCH' });
    weight.dispose();
    expect(device.liveTensors).toBe(0);
  });

  test('leaves nothing behind whichever allocation fails', async () => {
    for (const { out, inFeatures } of shapes) {
      const problem = createProblem({ out, inFeatures, tokens: 20, seed: 1 });
      const probe = openReferenceDevice();
      await factorsOf(problem, inputStatistic(problem), 4, probe);
      let failures = 0;
      for (let room = 1024; room < probe.budget.peakBytes; room += 512) {
        const device = openReferenceDevice({}, room);
        const weight = attempt(() => upload(device, problem.w, 'w'));
        if (!(weight instanceof Tensor)) continue;
        await expect(
          factorize({ device, weight, statistic: inputStatistic(problem), rank: 4 }),
        ).rejects.toBeInstanceOf(OutOfBudgetError);
        failures += 1;
        weight.dispose();
        expect([device.liveTensors, device.budget.inUseBytes]).toEqual([
          0,
          referenceProfile.reserveBytes,
        ]);
      }
      expect(failures).toBeGreaterThan(3);
    }
  });
});

function attempt(create: () => Tensor): Tensor | null {
  try {
    return create();
  } catch {
    return null;
  }
}

async function roundTrip(device: Device, a: Matrix): Promise<ArrayLike<number>> {
  const tensor = upload(device, a, 'rounded');
  try {
    return await device.download(tensor);
  } finally {
    tensor.dispose();
  }
}
