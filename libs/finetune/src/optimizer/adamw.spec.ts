import { at } from '@emloc/checked';
import { Device, MemoryBudget, type Tensor } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';

import { Adamw, defaultAdamw, type AdamwConfig } from './adamw.js';

/** A and B of two linears. */
const starts = [
  [0.5, -0.25, 1],
  [2, -1],
  [0.125, 0.75],
  [-0.5, 1.5, 3],
];
const gradients = starts.map((values) => values.map((value, i) => value * (i + 1) - 0.3));
const clipped: AdamwConfig = { ...defaultAdamw, maxGradientNorm: 0.5, weightDecay: 0.1 };

/**
 * The parameters after some steps with the same gradients; nothing may be left on the device.
 * @param columns of each parameter, 0 for a vector
 */
async function run(
  config: AdamwConfig,
  learningRate: number,
  columns: readonly number[] = [1, 1, 1, 1],
): Promise<readonly number[][]> {
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 20));
  const upload = (values: readonly number[], index: number): Tensor => {
    const bytes = new Uint8Array(Float32Array.from(values).buffer);
    const source = { bytes, dtype: 'float32' } as const;
    const shape = at(columns, index) === 0 ? [values.length] : [values.length, 1];
    return device.tensor(source, shape, 'float32', 'activations', 'parameter');
  };
  const [parameters, slopes] = [starts.map(upload), gradients.map(upload)];
  const values: number[][] = [];
  {
    using optimizer = new Adamw(device, parameters, config);
    for (let step = 1; step <= 3; step += 1) {
      await optimizer.measure(slopes);
      optimizer.update(slopes, { learningRate, step });
    }
    for (const tensor of parameters) values.push([...(await device.download(tensor))]);
  }
  for (const tensor of [...parameters, ...slopes]) tensor.dispose();
  expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
  expect(device.profile).toBe(cpuProfile);
  await device.close();
  return values;
}

describe('AdamW with a ratio of learning rates', () => {
  it('moves A at the learning rate, and B at so many times it, clipped to the norm of both', async () => {
    const [slow, fast, mixed] = await Promise.all([
      run(clipped, 0.001),
      run(clipped, 0.016),
      run({ ...clipped, loraPlusRatio: 16 }, 0.001),
    ]);
    expect(mixed).toEqual([at(slow, 0), at(fast, 1), at(slow, 2), at(fast, 3)]);
    expect(at(slow, 1)).not.toEqual(at(fast, 1));
  });

  it('moves magnitudes, which are vectors, as B', async () => {
    const lengths = [1, 1, 0, 1];
    const [slow, fast, mixed] = await Promise.all([
      run(clipped, 0.001, lengths),
      run(clipped, 0.016, lengths),
      run({ ...clipped, loraPlusRatio: 16 }, 0.001, lengths),
    ]);
    expect(mixed).toEqual([at(slow, 0), at(fast, 1), at(fast, 2), at(slow, 3)]);
  });
});
