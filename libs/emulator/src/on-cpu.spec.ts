import { Device, MemoryBudget, type Tensor } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { createNullBackend } from '@emloc/device-null';

import { fromValues, matrix, multiply, randomMatrix, type Matrix } from '../test/matrix.js';
import { createProblem, outputError, upload, type TestProblem } from '../test/problem.js';
import { correctLoraLayer } from './correction.js';
import { factorize } from './factorize.js';
import { emulatorRank } from './ratio-rules.js';
import { StatisticsAccumulator } from './statistics-accumulator.js';
import { planStatistics } from './statistics-plan.js';
import { statisticFor } from './statistics.js';

const pieceBytes = 40_000;

function openCpuDevice(blas: 'auto' | 'portable'): Device {
  return new Device(createCpuBackend({ blas }), new MemoryBudget(Number.POSITIVE_INFINITY));
}

/** Calibrates on the rows in three batches, factorises, and corrects an adapter of rank 4. */
async function run(
  device: Device,
  problem: TestProblem,
): Promise<{ u: Matrix; v: Matrix; relativeError: number }> {
  const { w, x } = problem;
  const [out, inFeatures] = [w.rows, w.columns];
  const rank = emulatorRank(0.5, inFeatures, out);
  const accumulator = new StatisticsAccumulator(
    device,
    'block',
    planStatistics([{ name: 'linear', group: 'g', inFeatures, outFeatures: out }]),
  );
  const weight = upload(device, w, 'linear.weight');
  const size = Math.ceil(x.rows / 3);
  for (let start = 0; start < x.rows; start += size) {
    const rows = matrix(
      Math.min(size, x.rows - start),
      inFeatures,
      (row, column) => x.values[(start + row) * inFeatures + column] as number,
    );
    const input = upload(device, rows, 'x');
    const output = device.allocate([rows.rows, out], 'float32', 'activations', 'y');
    device.kernels.gemm({ a: input, b: weight, transposeB: true, out: output });
    accumulator.observe('linear', input, output);
    for (const tensor of [input, output]) tensor.dispose();
  }
  const statistic = statisticFor(await accumulator.finish(), 'linear');
  const { u, v, relativeError } = await factorize({ device, weight, statistic, rank, pieceBytes });
  const adapter: Tensor[] = [
    upload(device, randomMatrix(4, inFeatures, 1), 'a'),
    upload(device, randomMatrix(out, 4, 2), 'b'),
  ];
  const [a, b] = adapter as [Tensor, Tensor];
  await correctLoraLayer({
    device,
    original: weight,
    emulator: { u, v },
    a,
    b,
    scale: 2,
    pieceBytes,
  });
  const host = {
    u: fromValues(await device.download(u), out, rank),
    v: fromValues(await device.download(v), rank, inFeatures),
    relativeError,
  };
  for (const tensor of [weight, u, v, ...adapter]) tensor.dispose();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, device.profile.reserveBytes]);
  return host;
}

describe.each(['auto', 'portable'] as const)(
  'on the CPU device with linear algebra: %s',
  (blas) => {
    test.each([
      ['tall', 130, 48, 400],
      ['tall, few rows', 130, 48, 30],
      ['wide', 48, 130, 400],
      ['wide, few rows', 48, 130, 30],
      ['square', 64, 64, 300],
    ] as const)(
      '%s: calibration, factors and correction in float32 weights, at the planned peak',
      async (_, out, inFeatures, tokens) => {
        const problem = createProblem({ out, inFeatures, tokens, seed: 21 });
        const device = openCpuDevice(blas);
        const { u, v, relativeError } = await run(device, problem);
        const total = outputError(
          problem,
          matrix(out, inFeatures, () => 0),
        );
        const error = outputError(problem, multiply(u, v)) / total;
        expect(Math.abs(error - relativeError ** 2)).toBeLessThan(1e-3 * error + 1e-9);
        expect(error).toBeLessThan(0.5);

        const planned = new Device(
          createNullBackend(device.profile),
          new MemoryBudget(Number.POSITIVE_INFINITY),
        );
        await run(planned, problem);
        expect(planned.budget.peakBytes).toBe(device.budget.peakBytes);
        await Promise.all([device.close(), planned.close()]);
      },
    );
  },
);
