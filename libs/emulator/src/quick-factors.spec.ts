import { Device, MemoryBudget, type Backend, type DType, type Tensor } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { createNullBackend } from '@emloc/device-null';

import { fromValues, multiply, type Matrix } from '../test/matrix.js';
import { errorOf, problemOfSpectrum, type SpectrumProblem } from '../test/spectrum.js';
import { factorize, type Factors } from './factorize.js';
import { PieceScope } from './piece-scope.js';
import { solveQuickly } from './quick-factors.js';
import type { FactorsChoice } from './solver.js';

const side = 80;
const kept = { few: 4, half: 40, all: side } as const;
const orders = Array.from({ length: side }, (_, k) => k + 1);

const spectra: Readonly<Record<string, readonly number[]>> = {
  'falling slowly': orders.map((k) => k ** -0.5),
  'falling as 1 / k': orders.map((k) => 1 / k),
  'falling fast': orders.map((k) => Math.exp(-k / 3)),
  flat: orders.map(() => 3),
  'of exact ties': orders.map((k) => (k <= 4 ? 4 : k <= 10 ? 2 : 1)),
  'with two outliers': orders.map((k) => (k === 1 ? 3e4 : k === 2 ? 2e3 : k ** -0.7)),
  'of rank 5': orders.map((k) => (k <= 5 ? 1 / k : 0)),
  'of small numbers': orders.map((k) => 1e-14 / k),
};

function open(backend: Backend = createCpuBackend()): Device {
  return new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
}

interface Asked {
  readonly rank: number;
  readonly choice: FactorsChoice;
  readonly seed?: string;
  readonly device?: Device;
}

interface Found extends Pick<Factors, 'solver' | 'usedFallback' | 'relativeError'> {
  readonly product: Matrix;
  readonly bytes: string;
  readonly peakBytes: number;
}

async function factorsOf(
  { w, statistic, gradient }: SpectrumProblem,
  { rank, choice, seed = 'seed', device = open() }: Asked,
): Promise<Found> {
  const bytes = new Uint8Array(Float32Array.from(w.values).buffer);
  const weight = device.tensor(
    { bytes, dtype: 'float32' },
    [w.rows, w.columns],
    'float32',
    'weights',
    'w',
  );
  const { u, v, ...told } = await factorize({
    ...{ device, weight, statistic, gradient, rank, choice, seed },
  });
  const values = async (x: Tensor) => fromValues(await device.download(x), x.dim(0), x.dim(1));
  const [left, right] = [await values(u), await values(v)];
  for (const tensor of [weight, u, v]) tensor.dispose();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, device.profile.reserveBytes]);
  await device.close();
  return {
    ...told,
    product: multiply(left, right),
    bytes: Buffer.from(Float32Array.of(...left.values, ...right.values).buffer).toString('base64'),
    peakBytes: device.budget.peakBytes,
  };
}

const problems = (['wide', 'tall'] as const).flatMap((form) =>
  (['output', 'loss'] as const).map((metric) => ({ form, metric })),
);

describe.each(problems)('$form weight, metric of $metric', ({ form, metric }) => {
  test.each(Object.keys(spectra))(
    'factors of float32 are as close as those of float64, within the tolerance: spectrum %s',
    async (name) => {
      const lambda = spectra[name] ?? [];
      const problem = problemOfSpectrum({ lambda, form, metric });
      const total = lambda.reduce((sum, value) => sum + value, 0);
      const ranks = name === 'flat' || name === 'of rank 5' ? [kept.all] : [kept.half];
      for (const rank of [kept.few, ...ranks]) {
        const fast = await factorsOf(problem, { rank, choice: 'fast' });
        const exact = await factorsOf(problem, { rank, choice: 'exact' });
        expect([fast.solver, fast.usedFallback]).toEqual([
          rank === kept.few ? 'subspace' : 'float32',
          false,
        ]);
        const [error, least] = [fast, exact].map(({ product }) => errorOf(problem, product)) as [
          number,
          number,
        ];
        expect(Math.abs(error - least)).toBeLessThan(1e-3 * least + 1e-5 * total);
        expect(Math.abs(fast.relativeError ** 2 - error / total)).toBeLessThan(2e-5);
      }
    },
  );

  test.each(Object.keys(spectra))(
    'iteration in float64 is within the tolerance: spectrum %s',
    async (name) => {
      const lambda = spectra[name] ?? [];
      const problem = problemOfSpectrum({ lambda, form, metric });
      const rank = kept.half;
      await using device = open();
      const bytes = new Uint8Array(Float32Array.from(problem.w.values).buffer);
      const shape = [problem.w.rows, problem.w.columns];
      using weight = device.tensor({ bytes, dtype: 'float32' }, shape, 'float32', 'weights', 'w');
      using scope = new PieceScope(device, 'test', { dtype: 'float64' });
      const { statistic, gradient } = problem;
      const solved = await solveQuickly(
        { scope, weight, statistic, gradient, rank, paddedRank: rank },
        { solver: 'subspace', seed: 'seed' },
      );
      if (!solved) throw new Error('nothing was found');
      const { u, v } = solved;
      const product = multiply(
        fromValues(await device.download(u), u.dim(0), rank),
        fromValues(await device.download(v), rank, v.dim(1)),
      );
      const total = lambda.reduce((sum, value) => sum + value, 0);
      const least = lambda.slice(rank).reduce((sum, value) => sum + value, 0);
      const error = errorOf(problem, product);
      expect(error - least).toBeGreaterThan(-1e-6 * total);
      expect(error - least).toBeLessThan(1e-3 * least + 1e-5 * total);
      expect(Math.abs(solved.relativeError ** 2 - error / total)).toBeLessThan(1e-6);
    },
  );

  test('the first columns and rows are the best of every smaller rank', async () => {
    const lambda = spectra['falling as 1 / k'] ?? [];
    const problem = problemOfSpectrum({ lambda, form, metric });
    await using device = open();
    const bytes = new Uint8Array(Float32Array.from(problem.w.values).buffer);
    const shape = [problem.w.rows, problem.w.columns];
    using weight = device.tensor({ bytes, dtype: 'float32' }, shape, 'float32', 'weights', 'w');
    const { statistic, gradient } = problem;
    const asked = { device, weight, statistic, gradient, rank: kept.few } as const;
    const { u, v } = await factorize({ ...asked, choice: 'fast', seed: 'seed' });
    const [left, right] = [await device.download(u), await device.download(v)];
    for (const tensor of [u, v]) tensor.dispose();
    for (const rank of [1, 3]) {
      const first = left.filter((_, index) => index % kept.few < rank);
      const product = multiply(
        fromValues(first, problem.w.rows, rank),
        fromValues(right.subarray(0, rank * problem.w.columns), rank, problem.w.columns),
      );
      const tail = lambda.slice(rank).reduce((sum, value) => sum + value, 0);
      expect(errorOf(problem, product)).toBeLessThan(tail * (1 + 2e-3));
    }
  });

  test.each(['few', 'half'] as const)(
    'takes the memory that the null device plans, which a fallback fits in, and no float64 beside it: %s',
    async (ranks) => {
      const problem = problemOfSpectrum({
        lambda: spectra['falling slowly'] ?? [],
        form,
        metric,
      });
      const asked = { rank: kept[ranks], choice: 'fast' } as const;
      const real = await factorsOf(problem, asked);
      const backend = createNullBackend(open().profile);
      const dtypes = new Set<DType>();
      const watched = new Proxy<Backend>(backend, {
        get: (target, key) => {
          const value: unknown = Reflect.get(target, key, target);
          if (typeof value !== 'function') return value;
          return (...given: readonly unknown[]): unknown => {
            if (key === 'allocate') dtypes.add(given[1] as DType);
            return Reflect.apply(value, target, given);
          };
        },
      });
      const planned = await factorsOf(
        { ...problem, statistic: { ...problem.statistic, squaredNorm: 0 } },
        { ...asked, device: open(watched) },
      );
      expect(planned.peakBytes).toBe(real.peakBytes);
      expect(dtypes.has('float64')).toBe(false);
      expect(backend.work.get('gemm')).toMatchObject({ float64Flops: 0 });
      const exact = await factorsOf(problem, { ...asked, choice: 'exact' });
      expect(real.peakBytes).toBeGreaterThanOrEqual(exact.peakBytes);
    },
  );
});

test('equal seeds give equal bytes, others the same within the tolerance', async () => {
  const lambda = spectra['falling slowly'] ?? [];
  const problem = problemOfSpectrum({ lambda, form: 'wide', metric: 'output' });
  const asked = { rank: kept.few, choice: 'fast' } as const;
  const [one, again, other] = [
    await factorsOf(problem, { ...asked, seed: '1 q' }),
    await factorsOf(problem, { ...asked, seed: '1 q' }),
    await factorsOf(problem, { ...asked, seed: '2 q' }),
  ];
  expect(again.bytes).toBe(one.bytes);
  expect(other.bytes).not.toBe(one.bytes);
  expect(errorOf(problem, other.product) / errorOf(problem, one.product)).toBeCloseTo(1, 3);
});

test('where float32 cannot hold the problem, the full one is solved and that is told', async () => {
  const lambda = spectra['falling as 1 / k'] ?? [];
  const problem = problemOfSpectrum({ lambda, form: 'tall', metric: 'output' });
  // Two columns of W that are equal: Wᵀ W has no Cholesky factor.
  const { rows, columns } = problem.w;
  const w = problem.w.values.slice();
  for (let row = 0; row < rows; row += 1) w[row * columns + 1] = w[row * columns] ?? 0;
  const singular = { ...problem, w: { rows, columns, values: w } };
  const asked = { rank: kept.half } as const;
  const fast = await factorsOf(singular, { ...asked, choice: 'fast' });
  const exact = await factorsOf(singular, { ...asked, choice: 'exact' });
  expect(fast).toMatchObject({ solver: 'full', usedFallback: true, bytes: exact.bytes });
});

test('small sides are exact unless fast factors are asked for', async () => {
  const lambda = spectra.flat ?? [];
  const problem = problemOfSpectrum({ lambda, form: 'wide', metric: 'output' });
  const { solver } = await factorsOf(problem, { rank: kept.few, choice: 'auto' });
  expect(solver).toBe('full');
});

test('a weight of zeros has factors of zeros', async () => {
  const lambda = spectra.flat ?? [];
  const problem = problemOfSpectrum({ lambda, form: 'wide', metric: 'output' });
  const w = { ...problem.w, values: problem.w.values.map(() => 0) };
  const statistic = { ...problem.statistic, matrix: new Float64Array(side * side) };
  const found = await factorsOf({ ...problem, w, statistic }, { rank: kept.few, choice: 'fast' });
  expect(found.product.values.every((value) => value === 0)).toBe(true);
  expect(found.relativeError).toBe(0);
});
