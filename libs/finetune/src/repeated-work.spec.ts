import { at } from '@emloc/checked';
import { Device, MemoryBudget, repeatsOn, type Backend } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { allDeviceBytes, minimumDeviceBytes, openPager } from '@emloc/weight-pager';

import { RecordingBackend } from '../test/recording-backend.js';
import { toyAdapter, toyLayout, ToyRows, toySource } from '../test/toy-chain.js';
import { defaultAdamw } from './optimizer/adamw.js';
import { runChain } from './run-chain.js';
import { train, type TrainingPause } from './train.js';

const whole = toyLayout();
const source = toySource(whole);
const adapter = toyAdapter(whole, ['layers.0.q', 'layers.1.modulation', 'layers.1.o', 'head.out']);
/** Steps of two micro-batches that come again, five times in all, and one of another. */
const pair = [[0], [1, 2]];
const batches = [pair, pair, pair, [[2]], [[1, 2], [0]], pair];

interface Setting {
  readonly backend: Backend;
  readonly isPaged?: boolean;
  readonly keptBlocks?: number;
  readonly pause?: (device: Device) => TrainingPause;
}

async function trainOn({ backend, isPaged = false, keptBlocks = 9, pause }: Setting) {
  const device = new Device(backend, new MemoryBudget(2 ** 28));
  const deviceBytes = (isPaged ? minimumDeviceBytes : allDeviceBytes)(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  const losses: number[] = [];
  try {
    const result = await train({
      model: { device, layout: whole, pager },
      ...{ adapter, batches, keptBlocks, rows: new ToyRows(), optimizer: defaultAdamw },
      schedule: { kind: 'constant', learningRate: 0.05, steps: batches.length, warmupRatio: 0 },
      onStep: ({ loss }) => losses.push(loss),
      ...(pause && { pause: pause(device) }),
    });
    return { losses, layers: [...result.adapter.layers], peakBytes: device.budget.peakBytes };
  } finally {
    await pager.close();
    expect([device.liveTensors, await device.close()]).toEqual([0, undefined]);
  }
}

let expected: Awaited<ReturnType<typeof trainOn>>;

beforeAll(async () => {
  expected = await trainOn({ backend: createCpuBackend() });
});

test('micro-batches that come again train to the same bytes, in the same memory, as recorded launches', async () => {
  const recording = new RecordingBackend();
  expect(await trainOn({ backend: recording.backend })).toEqual(expected);
  expect(recording.repeated).toBe(6);
});

test('so do those that run their forward twice', async () => {
  const recording = new RecordingBackend();
  const { losses, layers } = await trainOn({ backend: recording.backend, keptBlocks: 0 });
  expect([losses, layers]).toEqual([expected.losses, expected.layers]);
  expect(recording.repeated).toBe(6);
});

test('paged blocks are launched as they come', async () => {
  const recording = new RecordingBackend();
  const { losses, layers } = await trainOn({ backend: recording.backend, isPaged: true });
  expect([losses, layers]).toEqual([expected.losses, expected.layers]);
  expect(recording.repeated).toBe(0);
});

test('memory that is taken between steps makes recordings useless, not wrong', async () => {
  const recording = new RecordingBackend();
  const held: { dispose(): void }[] = [];
  const pause = (device: Device): TrainingPause => ({
    isDue: (step) => step === 3 || step === 5,
    run: (step) => {
      const sizes = [3, 8, 16, 24, 40, 64].map((size) => size * 8);
      if (step === 3)
        for (const size of [...sizes, ...sizes])
          held.push(device.allocate([size], 'float32', 'activations', 'held'));
      else for (const tensor of held.splice(0)) tensor.dispose();
      return Promise.resolve();
    },
  });
  const { losses, layers } = await trainOn({ backend: recording.backend, pause });
  expect([losses, layers]).toEqual([expected.losses, expected.layers]);
  expect(recording.repeated).toBe(2);
});

test('a chain that is run again with other values gives the same bytes as recorded launches', async () => {
  const layout = { ...whole, blocks: whole.blocks.slice(0, -1) };
  const outputsOn = async (backend: Backend) => {
    const device = new Device(backend, new MemoryBudget(2 ** 28));
    const deviceBytes = allDeviceBytes(source, device);
    const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
    const outputs: (readonly [string, Float32Array])[] = [];
    using repeats = repeatsOn(device);
    for (let index = 0; index < 4; index += 1) {
      const batch = await new ToyRows().load([0]);
      const { bytes } = at([...batch.values.values()], 0);
      new Float32Array(bytes.buffer, bytes.byteOffset, 4).fill(index);
      outputs.push(...(await runChain({ model: { device, layout, pager }, batch, repeats })));
    }
    await pager.close();
    await device.close();
    return outputs;
  };
  const recording = new RecordingBackend();
  const outputs = await outputsOn(recording.backend);
  expect(outputs).toEqual(await outputsOn(createCpuBackend()));
  expect(recording.repeated).toBe(2);
  expect(at(outputs, 3)).not.toEqual(at(outputs, 2));
});
