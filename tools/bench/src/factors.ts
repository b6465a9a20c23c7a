import process from 'node:process';
import { parseArgs } from 'node:util';
import { at } from '@emloc/checked';
import { Device, factorizationNames, MemoryBudget, type Backend, type Tensor } from '@emloc/device';
import { cudaProfile } from '@emloc/device-cuda';
import { createNullBackend, type NullBackend } from '@emloc/device-null';
import { emulatorRank, factorize, type LayerStatistic } from '@emloc/emulator';

import { benchDevice, cardOf } from './bench-device.js';
import { median } from './gpu-table.js';
import type { Measurement } from './measurement.js';

const help = `usage: bench factors [--device cpu|cuda:N] [--side 1024] [--ratio 0.1,0.25,0.4] [--times 3] [--counts]
Factors of one linear layer, square, wide (side x 4 side) and tall, exact and fast: seconds (medians of --times after one), relative errors.
  --counts   no device works: what is to be done on a card, operations of matrix products and of eigenproblems and Cholesky factors, and the peak
             of memory beside the weight
`;

const choices = ['exact', 'fast'] as const;
type Choice = (typeof choices)[number];

interface Shape {
  readonly name: string;
  readonly out: number;
  readonly inFeatures: number;
}

interface Case {
  readonly shape: Shape;
  readonly ratio: number;
  readonly choice: Choice;
}

/** `bench factors` */
export const measure: Measurement = async (args) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      device: { type: 'string', default: 'cpu' },
      side: { type: 'string', default: '1024' },
      ratio: { type: 'string', default: '0.1,0.25,0.4' },
      times: { type: 'string', default: '3' },
      counts: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const side = Number(values.side);
  const times = Number(values.times);
  if (values.help || !(side >= 1 && times >= 1)) {
    (values.help ? process.stdout : process.stderr).write(help);
    return values.help ? 0 : 2;
  }
  const shapes = [
    { name: 'square', out: side, inFeatures: side },
    { name: 'wide', out: side, inFeatures: 4 * side },
    { name: 'tall', out: 4 * side, inFeatures: side },
  ];
  const cases = values.ratio
    .split(',')
    .map(Number)
    .flatMap((ratio) =>
      shapes.flatMap((shape) => choices.map((choice) => ({ shape, ratio, choice }))),
    );
  if (values.counts) return count(cases);
  const backend = benchDevice(values.device).open(64 * 2 ** 30);
  return time(cases, { backend, times });
};

async function time(
  cases: readonly Case[],
  { backend, times }: { backend: Backend; times: number },
): Promise<number> {
  await using device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  process.stderr.write(`${cardOf(backend)?.profile.name ?? 'cpu'}\n`);
  row('layer', 'ratio', 'rank', 'factors', 'found by', 'seconds', 'relative error');
  row('---', '---:', '---:', '---', '---', '---:', '---:');
  for (const { shape, ratio, choice } of cases) {
    using weight = noise(device, [shape.out, shape.inFeatures]);
    const statistic = await statisticOf(device, shape, weight);
    const rank = rankOf(shape, ratio);
    const seconds: number[] = [];
    let told = '';
    let error = 0;
    for (let run = 0; run <= times; run += 1) {
      await device.synchronize();
      const started = performance.now();
      const found = await factorize({ device, weight, statistic, rank, choice, seed: shape.name });
      await device.synchronize();
      seconds.push((performance.now() - started) / 1000);
      for (const tensor of [found.u, found.v]) tensor.dispose();
      told = `${found.solver}${found.usedFallback ? ' (fallback)' : ''}`;
      error = found.relativeError;
    }
    const figure = median(seconds.slice(1)).toFixed(3);
    row(shape.name, String(ratio), String(rank), choice, told, figure, error.toFixed(5));
  }
  return 0;
}

async function count(cases: readonly Case[]): Promise<number> {
  row('layer', 'ratio', 'rank', 'factors', 'found by', 'products', 'factorisations', 'peak GiB');
  row('---', '---:', '---:', '---', '---', '---:', '---:', '---:');
  for (const { shape, ratio, choice } of cases) {
    const backend = createNullBackend(cudaProfile());
    await using device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
    using weight = device.allocate(
      ...([[shape.out, shape.inFeatures], 'bfloat16', 'weights', 'weight'] as const),
    );
    const scope = device.budget.openPeakScope(['weights', 'reserve']);
    const features = Math.min(shape.out, shape.inFeatures);
    const matrix = new Float64Array(features ** 2);
    const statistic = { ...headOf(shape), squaredNorm: 0, matrix };
    const rank = rankOf(shape, ratio);
    const found = await factorize({ device, weight, statistic, rank, choice, seed: '' });
    for (const tensor of [found.u, found.v]) tensor.dispose();
    row(
      ...[shape.name, String(ratio), String(rank), choice, found.solver],
      ...[productsOf(backend), factorizationsOf(backend, choice)],
      (scope.close() / 2 ** 30).toFixed(2),
    );
  }
  return 0;
}

/** TFLOP of matrix products, by the precision of their sums. */
function productsOf({ work }: NullBackend): string {
  const { flops = 0, float64Flops = 0 } = work.get('gemm') ?? {};
  return `${tera(float64Flops)} float64, ${tera(flops - float64Flops)} float32`;
}

function factorizationsOf({ work }: NullBackend, choice: Choice): string {
  const flops = factorizationNames.reduce((sum, name) => sum + (work.get(name)?.flops ?? 0), 0);
  return `${tera(flops)} ${choice === 'exact' ? 'float64' : 'float32'}`;
}

function tera(flops: number): string {
  return (flops / 1e12).toFixed(3);
}

function rankOf({ out, inFeatures }: Shape, ratio: number): number {
  return emulatorRank(ratio, inFeatures, out);
}

function headOf({ out, inFeatures }: Shape): Omit<LayerStatistic, 'squaredNorm' | 'matrix'> {
  const kind = out <= inFeatures ? 'output' : 'input';
  return { kind, linears: ['linear'], features: Math.min(out, inFeatures), inFeatures };
}

/** Of twice as many rows as there are inputs, whose sizes fall by e⁸ over the inputs. */
async function statisticOf(device: Device, shape: Shape, weight: Tensor): Promise<LayerStatistic> {
  const { inFeatures, out } = shape;
  const { kernels, profile } = device;
  const head = headOf(shape);
  const rows = 2 * inFeatures;
  using x = noise(device, [rows, inFeatures], (column) => Math.exp((-8 * column) / inFeatures));
  using y = device.allocate([rows, out], profile.computeDType, 'activations', 'outputs');
  kernels.gemm({ a: x, b: weight, transposeB: true, out: y });
  const [features, dtype] = [head.features, profile.statisticsDType];
  using sum = device.allocate([features, features], dtype, 'statistics', 'statistic');
  kernels.fill({ out: sum, value: 0 });
  kernels.gram({ x: head.kind === 'input' ? x : y, out: sum });
  using norm = device.allocate([1], 'float32', 'statistics', 'norm');
  kernels.squaredNorms({ tensors: [x], out: norm });
  const squaredNorm = at(await device.download(norm), 0);
  const matrix = (await device.download(sum)) as LayerStatistic['matrix'];
  return { ...head, squaredNorm, matrix };
}

function noise(
  device: Device,
  [rows, columns]: readonly [number, number],
  sizeOf: (column: number) => number = () => 1,
): Tensor {
  let state = rows;
  const values = Float32Array.from({ length: rows * columns }, (_, index) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 32 - 0.5) * sizeOf(index % columns);
  });
  const source = { bytes: new Uint8Array(values.buffer), dtype: 'float32' as const };
  return device.tensor(
    ...([source, [rows, columns], device.profile.computeDType, 'activations', 'noise'] as const),
  );
}

function row(...cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}
