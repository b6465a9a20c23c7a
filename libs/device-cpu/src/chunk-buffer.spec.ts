import { Device, MemoryBudget, type Kernels, type Tensor } from '@emloc/device';

import { hasRelaxedSimd } from '../test/relaxed-simd.js';
import { chunkRows } from './chunk-buffer.js';
import { createCpuBackend } from './index.js';

const sides = hasRelaxedSimd ? [false, true] : [false];

/** More rows than go through at once, of a width that fills no vectors; and rows above a chunk. */
const shapes = [
  [301, 37],
  [3, 4999],
] as const;

/** Numbers of both signs, among them some that are not finite. */
function waves(count: number, seed: number): Float32Array {
  const values = Float32Array.from({ length: count }, (_, i) => 3 * Math.sin(seed + 0.37 * i * i));
  if (count > 4000) values.set([Number.NaN, Number.POSITIVE_INFINITY, -0], 2000);
  return values;
}

type Operands = Readonly<Record<'a' | 'b' | 'c' | 'd', Tensor>> & {
  /** A value for each row. */
  readonly factors: Tensor;
  readonly means: Tensor;
};

interface Launch {
  readonly name: string;
  /** Writes `c` and `d`. */
  launch(kernels: Kernels, operands: Operands, shared: Shared): void;
}

interface Shared {
  readonly gains: Tensor;
  readonly norms: Tensor;
}

const launches: readonly Launch[] = [
  {
    name: 'rmsNorm',
    launch: (kernels, { a, c, factors }, { gains }) =>
      kernels.rmsNorm({
        ...{ x: a, weight: gains, weightOffset: 1, epsilon: 1e-6 },
        ...{ out: c, inverseRms: factors },
      }),
  },
  {
    name: 'rmsNormBackward',
    launch: (kernels, { a, b, c, d, factors }, { gains }) =>
      kernels.rmsNormBackward({
        ...{ dOut: a, x: b, weight: gains, inverseRms: factors },
        ...{ dX: c, accumulate: true, out: d },
      }),
  },
  {
    name: 'layerNorm',
    launch: (kernels, { a, c, factors, means }, { gains }) =>
      kernels.layerNorm({
        ...{ x: a, weight: gains, bias: gains, epsilon: 1e-6 },
        ...{ out: c, mean: means, inverseStd: factors },
      }),
  },
  {
    name: 'layerNormBackward',
    launch: (kernels, { a, b, c, factors, means }, { gains }) =>
      kernels.layerNormBackward({
        ...{ dOut: a, x: b, weight: gains, mean: means, inverseStd: factors },
        ...{ dX: c, accumulate: true },
      }),
  },
  { name: 'add', launch: (kernels, { a, c }) => kernels.add({ x: a, out: c }) },
  {
    name: 'add with a factor',
    launch: (kernels, { a, c }) => kernels.add({ x: a, out: c, alpha: 0.3 }),
  },
  {
    name: 'addBias',
    launch: (kernels, { c }, { gains }) => kernels.addBias({ bias: gains, out: c }),
  },
  {
    name: 'scale along columns',
    launch: (kernels, { a, c }, { gains }) =>
      kernels.scale({ x: a, scale: gains, along: 'columns', out: c }),
  },
  {
    name: 'scale along rows',
    launch: (kernels, { a, c, factors }) =>
      kernels.scale({ x: a, scale: factors, along: 'rows', out: c }),
  },
  {
    name: 'gatedActivation',
    launch: (kernels, { a, b, c }) =>
      kernels.gatedActivation({ gate: a, up: b, kind: 'silu', out: c }),
  },
  {
    name: 'gatedActivationBackward',
    launch: (kernels, { a, b, c, d }) =>
      kernels.gatedActivationBackward({
        ...{ dOut: c, gate: a, up: b, kind: 'silu' },
        ...{ dGate: a, dUp: d, out: c },
      }),
  },
  {
    name: 'adamw',
    launch: (kernels, { a, b, c, d }, { norms }) =>
      kernels.adamw({
        ...{ parameters: [c], gradients: [a], firstMoments: [b], secondMoments: [d] },
        ...{ squaredGradientNorms: norms, maxGradientNorm: 1, learningRate: 0.1, step: 3 },
        ...{ beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 },
      }),
  },
];

describe.each(sides)('chunks of rows, relaxed SIMD %s', (relaxedSimd) => {
  const open = () =>
    new Device(createCpuBackend({ blas: 'portable', relaxedSimd }), new MemoryBudget(2 ** 30));

  test.each(shapes)('%i x %i is more than a chunk', (rows, width) => {
    expect(chunkRows(rows, width)).toBeLessThan(rows);
  });

  test.each(
    launches.flatMap(({ name, launch }) => shapes.map((shape) => ({ name, launch, shape }))),
  )('$name of $shape at once and row by row gives the same bits', async ({ launch, shape }) => {
    await using device = open();
    expect(await run(device, launch, shape, 'whole')).toEqual(
      await run(device, launch, shape, 'rows'),
    );
  });
});

/** All operands afterwards, as bits. */
async function run(
  device: Device,
  launch: Launch['launch'],
  [rows, width]: readonly [number, number],
  way: 'whole' | 'rows',
): Promise<Int32Array[]> {
  const make = (shape: readonly number[], values: Float32Array): Tensor => {
    const bytes = new Uint8Array(values.buffer);
    return device.tensor({ bytes, dtype: 'float32' }, shape, 'float32', 'activations', 'wave');
  };
  const matrix = (seed: number) => make([rows, width], waves(rows * width, seed));
  const [a, b, c, d] = [matrix(1), matrix(2), matrix(3), matrix(4)];
  const factors = make([rows], waves(rows, 5));
  const shared = { gains: make([width], waves(width, 6)), norms: make([1], waves(1, 7)) };
  const means = make([rows], waves(rows, 8));
  const whole = { a, b, c, d, factors, means };
  if (way === 'whole') launch(device.kernels, whole, shared);
  else
    for (let row = 0; row < rows; row += 1)
      launch(
        device.kernels,
        {
          ...{ a: a.rows(row, row + 1), b: b.rows(row, row + 1), c: c.rows(row, row + 1) },
          ...{ d: d.rows(row, row + 1), factors: factors.rows(row, row + 1) },
          means: means.rows(row, row + 1),
        },
        shared,
      );
  const results = await Promise.all(Object.values(whole).map((tensor) => device.download(tensor)));
  for (const tensor of [...Object.values(whole), ...Object.values(shared)]) tensor.dispose();
  return results.map((values) => new Int32Array(values.buffer));
}
