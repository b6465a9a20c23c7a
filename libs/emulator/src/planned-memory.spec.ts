import { Device, MemoryBudget, type DeviceProfile, type Tensor } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';

import { matrix, randomMatrix } from '../test/matrix.js';
import { createProblem, inputStatistic, outputStatistic, upload } from '../test/problem.js';
import { openReferenceDevice, referenceProfile } from '../test/reference-device.js';
import { correctLoraLayer } from './correction.js';
import { factorize } from './factorize.js';
import { StatisticsAccumulator } from './statistics-accumulator.js';
import { planStatistics } from './statistics-plan.js';
import type { LayerStatistic } from './statistics.js';

function openNullDevice(profile: DeviceProfile): Device {
  return new Device(createNullBackend(profile), new MemoryBudget(Number.POSITIVE_INFINITY));
}

async function expectPlannedPeak(
  profile: DeviceProfile,
  program: (device: Device) => Promise<void>,
): Promise<void> {
  const [real, planned] = [openReferenceDevice(profile), openNullDevice(profile)];
  await program(real);
  await program(planned);
  expect(planned.budget.peakBytes).toBe(real.budget.peakBytes);
  expect([real.liveTensors, planned.liveTensors]).toEqual([0, 0]);
}

const profiles = [{ computeDType: 'float32' }, { computeDType: 'bfloat16' }] as const;

describe.each(profiles)(
  'memory on the null device is that of the real one: $computeDType',
  (change) => {
    const profile: DeviceProfile = { ...referenceProfile, ...change };

    test.each([
      ['wide from outputs', 10, 17, 'output', 0],
      ['wide from inputs', 10, 17, 'input', 0],
      ['tall', 19, 11, 'input', 0],
      ['tall with an indefinite statistic', 19, 11, 'input', 1e-3],
      ['tall without inputs', 19, 11, 'input', 1],
    ] as const)('factorisation, %s', async (_, out, inFeatures, kind, noise) => {
      const problem = createProblem({ out, inFeatures, tokens: 5, seed: 2 });
      const clean = kind === 'input' ? inputStatistic(problem) : outputStatistic(problem);
      const statistic: LayerStatistic =
        noise === 1
          ? { ...clean, squaredNorm: 0, matrix: clean.matrix.map(() => 0) as Float64Array }
          : {
              ...clean,
              matrix: clean.matrix.map((value, i) =>
                i % (clean.features + 1) === 0 ? value - noise : value,
              ) as Float64Array,
            };
      const fallbacks: boolean[] = [];
      await expectPlannedPeak(profile, async (device) => {
        const weight = upload(device, problem.w, 'w');
        const { u, v, usedFallback } = await factorize({ device, weight, statistic, rank: 5 });
        for (const tensor of [weight, u, v]) tensor.dispose();
        fallbacks.push(usedFallback);
      });
      expect(fallbacks).toEqual([noise === 1e-3, false]);
    });

    test.each([
      ['of full rank', 1],
      ['of zeros', 0],
    ] as const)('correction of an adapter %s', async (_, factor) => {
      await expectPlannedPeak(profile, async (device) => {
        const tensors = [
          [9, 12],
          [9, 4],
          [4, 12],
        ].map(([rows = 0, columns = 0], index) =>
          upload(device, randomMatrix(rows, columns, index), `t${index}`),
        );
        const [a, b] = [
          [3, 12],
          [9, 3],
        ].map(([rows = 0, columns = 0], index) => {
          const { values } = matrix(
            rows,
            columns,
            (row, column) => factor * Math.cos(row * 5 + column + index),
          );
          return device.tensor(
            { bytes: new Uint8Array(Float32Array.from(values).buffer), dtype: 'float32' },
            [rows, columns],
            'float32',
            'lora',
            'adapter',
          );
        }) as [Tensor, Tensor];
        const [original, u, v] = tensors as [Tensor, Tensor, Tensor];
        await correctLoraLayer({ device, original, emulator: { u, v }, a, b, scale: 2 });
        for (const tensor of [...tensors, a, b]) tensor.dispose();
      });
    });

    test('calibration', async () => {
      const linears = [
        { name: 'q', group: 'a', inFeatures: 6, outFeatures: 6 },
        { name: 'up', group: 'm', inFeatures: 6, outFeatures: 9 },
      ];
      await expectPlannedPeak(profile, async (device) => {
        const accumulator = new StatisticsAccumulator(device, 'block', planStatistics(linears));
        for (const { name, outFeatures } of linears) {
          const [x, y] = [
            upload(device, randomMatrix(4, 6, 1), 'x'),
            upload(device, randomMatrix(4, outFeatures, 2), 'y'),
          ];
          accumulator.observe(name, x, y);
          x.dispose();
          y.dispose();
        }
        await accumulator.finish();
      });
    });
  },
);
