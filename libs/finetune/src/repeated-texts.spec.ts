import { at } from '@emloc/checked';
import { Device, MemoryBudget, type Backend } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { layoutOf, type Batch, type RowSource } from '@emloc/models';
import { allDeviceBytes, openPager } from '@emloc/weight-pager';

import { RecordingBackend } from '../test/recording-backend.js';
import { toyAdapter, toySource } from '../test/toy-chain.js';
import { defaultAdamw } from './optimizer/adamw.js';
import { train } from './train.js';

const layout = layoutOf({
  architectures: ['Qwen2ForCausalLM'],
  hidden_size: 16,
  intermediate_size: 24,
  vocab_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
});
const source = toySource(layout);
const adapter = toyAdapter(
  layout,
  layout.linears.map(({ path }) => path),
);
const lengths = [4, 9, 6, 7, 5, 8, 3, 10, 6, 4, 8, 7, 9, 5];
/** Two texts a step, no two steps of the same lengths. */
const batches = Array.from({ length: 7 }, (_, step) => [[2 * step, 2 * step + 1]]);

/** Texts whose second half is trained on. */
const rows: RowSource = {
  shape: (numbers) => batchOf(numbers).shape,
  load: (numbers) => Promise.resolve(batchOf(numbers)),
};

function batchOf(numbers: readonly number[]): Batch {
  const [ids, targetRows, targets, offsets]: number[][] = [[], [], [], [0]];
  for (const row of numbers) {
    const start = ids?.length ?? 0;
    const length = at(lengths, row);
    for (let i = 0; i < length; i += 1) {
      const id = (row * 7 + i * 5 + 1) % 32;
      ids?.push(id);
      if (i <= length / 2) continue;
      targetRows?.push(start + i - 1);
      targets?.push(id);
    }
    offsets?.push(start + length);
  }
  const integers = new Map(
    Object.entries({ ids, targetRows, targets }).map(([name, values = []]) => [
      name,
      Int32Array.from(values),
    ]),
  );
  const [trained, items] = [targets?.length ?? 0, ids?.length ?? 0];
  return {
    shape: {
      layouts: new Map([['tokens', offsets ?? []]]),
      integers: new Map([...integers].map(([name, values]) => [name, values.length])),
      values: new Map(),
      lossWeight: trained,
      items,
    },
    integers,
    values: new Map(),
  };
}

async function trainOn(backend: Backend, roundedTokens: number) {
  const device = new Device(backend, new MemoryBudget(2 ** 28));
  const deviceBytes = allDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  const losses: number[] = [];
  try {
    const result = await train({
      ...{ model: { device, layout, pager }, rows, adapter, batches, roundedTokens },
      ...{ optimizer: defaultAdamw, keptBlocks: 1 },
      schedule: { kind: 'constant', learningRate: 1e-3, steps: batches.length, warmupRatio: 0 },
      onStep: ({ loss }) => losses.push(loss),
    });
    return { losses, layers: [...result.adapter.layers] };
  } finally {
    await pager.close();
    expect([device.liveTensors, await device.close()]).toEqual([0, undefined]);
  }
}

test('texts of varied lengths that are rounded train to the same bytes as recorded launches', async () => {
  const recording = new RecordingBackend();
  const repeated = await trainOn(recording.backend, 1000);
  expect(recording.repeated).toBe(batches.length - 2);
  expect(repeated).toEqual(await trainOn(createCpuBackend(), 1000));
});

test('padding changes no more than the last bits of losses', async () => {
  const recording = new RecordingBackend();
  const plain = await trainOn(recording.backend, 0);
  const rounded = await trainOn(createCpuBackend(), 1000);
  expect(recording.repeated).toBe(0);
  expect(rounded.losses).not.toEqual([]);
  rounded.losses.forEach((loss, step) => expect(loss).toBeCloseTo(at(plain.losses, step), 5));
});
