import { Device, MemoryBudget, type Backend, type Tensor } from '@emloc/device';
import {
  factorize,
  planStatistics,
  statisticFor,
  StatisticsAccumulator,
  StatisticsMemory,
  type FactorsChoice,
  type LayerStatistic,
} from '@emloc/emulator';
import { weightPlace, type ModelLinear } from '@emloc/models';

import type { SyntheticModel } from './gpu-model.js';

export interface FactorTimes {
  /**
   * Of each block, all its linear layers: from statistics in host memory, page-locked as a job has
   * them, to factors in host memory.
   */
  readonly seconds: readonly number[];
  /** Of the last block, by linear layer. */
  readonly perLinear: Readonly<Record<string, number>>;
  readonly relativeErrors: Readonly<Record<string, number>>;
  readonly budgetPeakBytes: number;
}

const calibrationRows = 8192;

/**
 * Statistics of random rows, then factors, of so many blocks of the model's shape; the first of
 * them pays for what is loaded at first use.
 */
export async function measureFactors(
  model: SyntheticModel,
  backend: Backend,
  { blocks, choice }: { blocks: number; choice: FactorsChoice },
): Promise<FactorTimes> {
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  const device = new Device(backend, budget);
  await using memory = new StatisticsMemory(device);
  const statistics = await observe(device, model, memory);
  const seconds: number[] = [];
  const perLinear: Record<string, number> = {};
  const relativeErrors: Record<string, number> = {};
  const scope = budget.openPeakScope();
  for (let block = 0; block < blocks; block += 1) {
    let total = 0;
    for (const linear of model.firstLinears) {
      const weight = await upload(device, model, linear);
      try {
        await device.synchronize();
        const started = performance.now();
        relativeErrors[linear.name] = await factorsOf(device, {
          model,
          linear,
          weight,
          statistic: statisticFor(statistics, linear.name),
          choice,
        });
        const seconds = (performance.now() - started) / 1000;
        perLinear[linear.name] = seconds;
        total += seconds;
      } finally {
        weight.dispose();
      }
    }
    seconds.push(total);
  }
  return { seconds, perLinear, relativeErrors, budgetPeakBytes: scope.close() };
}

async function factorsOf(
  device: Device,
  {
    model,
    linear,
    weight,
    statistic,
    choice,
  }: {
    model: SyntheticModel;
    linear: ModelLinear;
    weight: Tensor;
    statistic: LayerStatistic;
    choice: FactorsChoice;
  },
): Promise<number> {
  const [rank, seed] = [model.rankOf(linear), linear.path];
  const factors = await factorize({ device, weight, statistic, rank, choice, seed });
  try {
    for (const tensor of [factors.u, factors.v])
      await device.downloadBytes(tensor, new Uint8Array(tensor.byteLength));
    return factors.relativeError;
  } finally {
    factors.u.dispose();
    factors.v.dispose();
  }
}

/** Inputs with a spectrum that falls, as activations have: rows of noise times a diagonal. */
async function observe(device: Device, model: SyntheticModel, memory: StatisticsMemory) {
  const accumulator = new StatisticsAccumulator(
    device,
    'block',
    planStatistics(model.firstLinears),
  );
  const seen = new Map<string, Tensor>();
  try {
    for (const linear of model.firstLinears) {
      const x =
        seen.get(linear.group) ??
        noise(device, [calibrationRows, linear.inFeatures], seen.size + 1);
      seen.set(linear.group, x);
      const weight = await upload(device, model, linear);
      const y = device.allocate(
        [calibrationRows, linear.outFeatures],
        device.profile.computeDType,
        'activations',
        'outputs',
      );
      device.kernels.gemm({ a: x, b: weight, transposeB: true, out: y });
      accumulator.observe(linear.name, x, y);
      y.dispose();
      weight.dispose();
    }
    return await accumulator.finish(memory);
  } finally {
    accumulator.dispose();
    for (const tensor of seen.values()) tensor.dispose();
  }
}

async function upload(
  device: Device,
  { layout, original }: SyntheticModel,
  linear: ModelLinear,
): Promise<Tensor> {
  const shape = [linear.outFeatures, linear.inFeatures];
  const bytes = new Uint8Array(2 * linear.outFeatures * linear.inFeatures);
  const { page, tensor } = weightPlace(layout, linear);
  await original.read(page, tensor, bytes);
  return device.tensor(
    { bytes, dtype: 'bfloat16' },
    shape,
    device.profile.computeDType,
    'weights',
    linear.name,
  );
}

function noise(device: Device, [rows, columns]: readonly [number, number], seed: number): Tensor {
  let state = seed;
  const values = Float32Array.from({ length: rows * columns }, (_, index) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 32 - 0.5) * (1 + 9 * Math.exp((-8 * (index % columns)) / columns));
  });
  return device.tensor(
    { bytes: new Uint8Array(values.buffer), dtype: 'float32' },
    [rows, columns],
    device.profile.computeDType,
    'activations',
    'inputs',
  );
}
