import { OutOfBudgetError } from '@emloc/device';

import {
  largestDifference,
  matrix,
  multiply,
  randomMatrix,
  trace,
  transpose,
} from '../test/matrix.js';
import { upload } from '../test/problem.js';
import { openReferenceDevice, referenceProfile } from '../test/reference-device.js';
import { StatisticsAccumulator } from './statistics-accumulator.js';
import { planStatistics } from './statistics-plan.js';
import { packTriangle, statisticFor, unpackTriangle } from './statistics.js';

const plans = planStatistics([
  { name: 'q', group: 'attn', inFeatures: 6, outFeatures: 6 },
  { name: 'k', group: 'attn', inFeatures: 6, outFeatures: 2 },
  { name: 'gate', group: 'mlp', inFeatures: 6, outFeatures: 9 },
  { name: 'up', group: 'mlp', inFeatures: 6, outFeatures: 9 },
]);

describe('statistics accumulator', () => {
  test('sums over batches what each layer needs, and a shared input once', async () => {
    const device = openReferenceDevice();
    const accumulator = new StatisticsAccumulator(device, 'model.layers.3', plans);
    const xs = [randomMatrix(5, 6, 1), randomMatrix(3, 6, 2)];
    const weights = new Map(
      [
        ['q', 6],
        ['k', 2],
        ['gate', 9],
        ['up', 9],
        ['o', 6],
      ].map(([name, out]) => [name as string, randomMatrix(6, out as number, 7)]),
    );
    for (const x of xs) {
      for (const [name, weight] of weights) {
        const [input, output] = [upload(device, x, 'x'), upload(device, multiply(x, weight), 'y')];
        accumulator.observe(name, input, output);
        input.dispose();
        output.dispose();
      }
    }
    expect(device.budget.inUseBytesOf('statistics')).toBeGreaterThan(0);
    const statistics = await accumulator.finish();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([
      0,
      referenceProfile.reserveBytes,
    ]);
    accumulator.dispose();

    const all = matrix(
      8,
      6,
      (row, column) =>
        (row < 5 ? xs[0] : xs[1])?.values[(row < 5 ? row : row - 5) * 6 + column] ?? NaN,
    );
    const gram = (name: string) => {
      const y = multiply(all, weights.get(name) ?? all);
      return multiply(transpose(y), y).values;
    };
    const g = multiply(transpose(all), all);
    expect(largestDifference(statisticFor(statistics, 'gate').matrix, g.values)).toBeLessThan(1e-5);
    expect(largestDifference(statisticFor(statistics, 'q').matrix, gram('q'))).toBeLessThan(1e-4);
    expect(largestDifference(statisticFor(statistics, 'k').matrix, gram('k'))).toBeLessThan(1e-4);
    expect(statisticFor(statistics, 'up')).toBe(statisticFor(statistics, 'gate'));
    for (const name of ['q', 'k', 'gate'])
      expect(statisticFor(statistics, name).squaredNorm / trace(g)).toBeCloseTo(1, 6);
    expect(() => statisticFor(statistics, 'o')).toThrow(
      expect.objectContaining({ code: 'EMULATOR_UNKNOWN_LAYER' }),
    );
  });

  test('names the layer whose outputs are not finite and frees everything', async () => {
    const device = openReferenceDevice();
    const accumulator = new StatisticsAccumulator(device, 'model.layers.3', plans);
    const [x, y] = [
      upload(device, randomMatrix(2, 6, 1), 'x'),
      upload(
        device,
        matrix(2, 2, (row) => (row ? NaN : 1)),
        'y',
      ),
    ];
    accumulator.observe('k', x, y);
    x.dispose();
    y.dispose();
    await expect(accumulator.finish()).rejects.toMatchObject({
      code: 'EMULATOR_NON_FINITE',
      message: expect.stringMatching(/model\.layers\.3.* k /),
    });
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([
      0,
      referenceProfile.reserveBytes,
    ]);
  });

  test('holds nothing when the budget has no room for all', () => {
    const device = openReferenceDevice({}, 600 + referenceProfile.reserveBytes);
    expect(() => new StatisticsAccumulator(device, 'model.layers.3', plans)).toThrow(
      OutOfBudgetError,
    );
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([
      0,
      referenceProfile.reserveBytes,
    ]);
  });

  test('dispose gives everything back without a result', () => {
    const device = openReferenceDevice();
    const accumulator = new StatisticsAccumulator(device, 'b', plans);
    accumulator.dispose();
    accumulator.dispose();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([
      0,
      referenceProfile.reserveBytes,
    ]);
  });
});

describe('packed triangle', () => {
  test.each([1, 2, 31, 32, 33, 70])(
    'of %i features unpacks to the symmetric matrix',
    (features) => {
      const square = randomMatrix(features, features, 3);
      const symmetric = multiply(square, transpose(square)).values;
      const packed = packTriangle(symmetric, features);
      expect(packed).toHaveLength((features * (features + 1)) / 2);
      const unpacked = unpackTriangle(packed, features);
      expect(largestDifference(unpacked, symmetric)).toBeLessThan(1e-12);
      expect(unpackTriangle(Float32Array.from(packed), features)).toBeInstanceOf(Float32Array);
    },
  );

  test('of another size is refused', () => {
    expect(() => unpackTriangle(new Float64Array(5), 3)).toThrow(
      expect.objectContaining({ code: 'EMULATOR_SHAPE_MISMATCH' }),
    );
  });
});
