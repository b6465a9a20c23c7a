import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import { Device, MemoryBudget, type Tensor } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';

import { createOptimizer, type OptimizerConfig } from './create-optimizer.js';
import type { OptimizerRecord } from './optimizer.js';
import { defaultProdigy } from './prodigy.js';

const sizes = [6, 4];
/**
 * Start and goal of two parameters, and how steep the valley is in each direction. The start is near
 * 0, so that float32 tells the first, tiny steps from it.
 */
const start = (parameter: number, i: number): number =>
  Math.fround(1e-3 * Math.sin(3 * parameter + i));
const goal = (parameter: number, i: number): number => Math.cos(2 * i + parameter);
const steepness = (i: number): number => 0.2 + (i % 3);

type Vectors = readonly (readonly number[])[];

/** Of ½ Σ steepness (θ − goal)². */
function gradientsAt(values: Vectors): Vectors {
  return values.map((value, parameter) =>
    value.map((theta, i) => Math.fround(steepness(i) * (theta - goal(parameter, i)))),
  );
}

const starts: Vectors = sizes.map((size, parameter) =>
  Array.from({ length: size }, (_, i) => start(parameter, i)),
);

interface Run {
  readonly values: Vectors;
  readonly record: OptimizerRecord;
}

interface RunOptions {
  readonly config?: OptimizerConfig;
  readonly steps?: number;
  /** A run to go on from. */
  readonly resume?: Run & { readonly step: number };
  readonly learningRate?: (step: number) => number;
  readonly gradients?: (values: Vectors) => Vectors;
}

/** Steps on the CPU device; nothing may be left there. */
async function run(options: RunOptions = {}): Promise<Run> {
  const { config = defaultProdigy, steps = 40, resume, gradients = gradientsAt } = options;
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
  const upload = (values: readonly number[]): Tensor => {
    const bytes = new Uint8Array(Float32Array.from(values).buffer);
    const source = { bytes, dtype: 'float32' } as const;
    return device.tensor(source, [values.length], 'float32', 'activations', 'parameter');
  };
  const parameters = (resume?.values ?? starts).map(upload);
  const read = async (): Promise<Vectors> => {
    const values: number[][] = [];
    for (const tensor of parameters) values.push([...(await device.download(tensor))]);
    return values;
  };
  const optimizer = createOptimizer(config, { device, parameters, start: adapterOf(starts) });
  if (resume) optimizer.upload(resume.record);
  for (let step = (resume?.step ?? 0) + 1; step <= steps; step += 1) {
    const made = gradients(await read()).map(upload);
    await optimizer.measure(made);
    await optimizer.update(made, { learningRate: options.learningRate?.(step) ?? 1, step });
    for (const tensor of made) tensor.dispose();
  }
  const result = { values: await read(), record: await optimizer.download() };
  optimizer[Symbol.dispose]();
  for (const tensor of parameters) tensor.dispose();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, cpuProfile.reserveBytes]);
  await device.close();
  return result;
}

function adapterOf([a = [], b = []]: Vectors): LoraAdapter {
  const layer = { a: Float32Array.from(a), b: Float32Array.from(b) };
  const layers = new Map([['linear', { ...layer, inFeatures: 1, outFeatures: 1 }]]);
  return { rank: 1, alpha: 1, useRslora: false, targetModules: [], layers };
}

/** The published algorithm in float64, vector by vector. */
function reference({ config = defaultProdigy, steps = 40, learningRate = () => 1 }: RunOptions): {
  readonly values: Vectors;
  readonly distance: number;
  readonly numerator: number;
} {
  const { beta1, beta2, epsilon, weightDecay, maxGradientNorm } = config;
  const beta3 = Math.sqrt(beta2);
  const flat = starts.flat();
  let theta = [...flat];
  let [m, v, s] = [0, 1, 2].map(() => flat.map(() => 0)) as [number[], number[], number[]];
  const d0 = defaultProdigy.firstDistance;
  let [d, most, numerator] = [d0, d0, 0];
  for (let k = 1; k <= steps; k += 1) {
    const parts = [theta.slice(0, sizes[0]), theta.slice(sizes[0])];
    const raw = gradientsAt(parts).flat();
    const norm = Math.sqrt(raw.reduce((sum, g) => sum + g * g, 0));
    const g = raw.map((each) => each * Math.min(1, maxGradientNorm / (norm + 1e-6)));
    const eta = learningRate(k) * d * (Math.sqrt(1 - beta2 ** k) / (1 - beta1 ** k));
    const dot = g.reduce((sum, each, i) => sum + each * (at(flat, i) - at(theta, i)), 0);
    numerator = beta3 * numerator + (d / d0) * eta * dot;
    m = m.map((each, i) => beta1 * each + (1 - beta1) * d * at(g, i));
    v = v.map((each, i) => beta2 * each + (1 - beta2) * d * d * at(g, i) ** 2);
    s = s.map((each, i) => beta3 * each + (d / d0) * d * at(g, i));
    const estimate = numerator / s.reduce((sum, each) => sum + Math.abs(each), 0);
    if (d === d0) d = Math.max(d, estimate);
    most = Math.max(most, estimate);
    d = Math.min(most, d * Number.POSITIVE_INFINITY);
    theta = theta.map((each, i) => {
      const decayed = each * (1 - eta * weightDecay);
      return decayed - (eta * at(m, i)) / (Math.sqrt(at(v, i)) + d * epsilon);
    });
  }
  return { values: [theta.slice(0, sizes[0]), theta.slice(sizes[0])], distance: d, numerator };
}

function expectClose(actual: number | undefined, expected: number, relative: number): void {
  expect(Math.abs((actual ?? Number.NaN) - expected)).toBeLessThanOrEqual(
    relative * Math.abs(expected),
  );
}

describe('Prodigy', () => {
  it.each<[string, RunOptions]>([
    ['as it comes', {}],
    ['with weight decay', { config: { ...defaultProdigy, weightDecay: 0.1 } }],
    ['without clipping', { config: { ...defaultProdigy, maxGradientNorm: Infinity } }],
    ['over a falling rate', { learningRate: (step) => 1 - step / 50 }],
    ['with other betas', { config: { ...defaultProdigy, beta1: 0.8, beta2: 0.99 } }],
  ])('takes the steps of the published algorithm, %s', async (_name, options) => {
    const expected = reference(options);
    const { values, record } = await run(options);
    expectClose(record.prodigy?.distance, expected.distance, 1e-4);
    expectClose(record.prodigy?.numerator, expected.numerator, 1e-3);
    const goals = expected.values.flat();
    const largest = Math.max(...goals.map(Math.abs));
    for (const [i, value] of values.flat().entries())
      expect(Math.abs(value - at(goals, i))).toBeLessThan(1e-4 * largest);
  });

  it('finds how far the solution is, whatever it begins with, and goes there', async () => {
    const { values, record } = await run({ steps: 400 });
    expect(record.prodigy?.distance).toBeGreaterThan(0.05);
    for (const [parameter, value] of values.entries())
      for (const [i, theta] of value.entries())
        expect(Math.abs(theta - goal(parameter, i))).toBeLessThan(0.1);
  });

  it('leaves everything where it is while there is no gradient, weights to decay included', async () => {
    const config = { ...defaultProdigy, weightDecay: 0.5 };
    const zeros = (values: Vectors): Vectors => values.map((value) => value.map(() => 0));
    const { values, record } = await run({ config, steps: 3, gradients: zeros });
    expect(values).toEqual(starts);
    expect(record.prodigy).toMatchObject({ distance: config.firstDistance, numerator: 0 });
  });

  it('goes on from its record to the same bits', async () => {
    const config = { ...defaultProdigy, weightDecay: 0.01 };
    const whole = await run({ config });
    for (const step of [1, 7, 39]) {
      const part = await run({ config, steps: step });
      expect(await run({ config, resume: { ...part, step } })).toEqual(whole);
    }
  });
});
