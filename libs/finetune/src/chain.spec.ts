import { get } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import {
  pagesSource,
  restOf,
  type Batch,
  type BatchShape,
  type ModelLayout,
  type RowSource,
} from '@emloc/models';
import { minimumDeviceBytes, openPager, type LayerSource } from '@emloc/weight-pager';

import { openDevice, toyAdapter, toyLayout, ToyRows, toySource } from '../test/toy-chain.js';
import { DeviceAdapter } from './device-adapter.js';
import { frontLength, frontStreams, runFront, type FrontStore } from './front.js';
import { gradientsOf, type LossAndGradients } from './gradients.js';
import type { PagedModel } from './paged-model.js';
import { runChain } from './run-chain.js';

const trained = [
  'layers.0.modulation',
  'layers.0.q',
  'layers.0.v',
  'layers.1.modulation',
  'layers.1.k',
  'layers.1.o',
  'head.out',
];
const rows = [0, 1, 2];

/** Runs with a model whose weights are paged through the least room; nothing may be left. */
async function withModel<T>(
  layout: ModelLayout,
  source: LayerSource,
  run: (model: PagedModel) => Promise<T>,
): Promise<T> {
  const device = openDevice();
  const deviceBytes = minimumDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  try {
    return await run({ device, layout, pager });
  } finally {
    await pager.close();
    expect(device.liveTensors).toBe(0);
    await device.close();
  }
}

function differentiate(
  model: PagedModel,
  { adapter: host, source, keptBlocks }: Differentiated,
): Promise<LossAndGradients> {
  const adapter = DeviceAdapter.load(model.device, model.layout, host, { trainable: true });
  return gradientsOf({ model, adapter, source, rows, keptBlocks }).finally(() => adapter.dispose());
}

interface Differentiated {
  readonly adapter: LoraAdapter;
  readonly source: RowSource;
  readonly keptBlocks?: number;
}

function whole(adapter: LoraAdapter, keptBlocks = 0): Promise<LossAndGradients> {
  const layout = toyLayout();
  return withModel(layout, toySource(layout), (model) =>
    differentiate(model, { adapter, source: new ToyRows(), keptBlocks }),
  );
}

describe('a chain that ends in no loss', () => {
  const whole = toyLayout();
  const layout = { ...whole, blocks: whole.blocks.slice(0, -1) };

  it('gives what its last block writes, to a store as on the device all the way', async () => {
    const stored: Uint8Array[] = [];
    const outputs = await withModel(layout, toySource(whole), async (model) => {
      await runFront({
        ...{ model, blocks: layout.blocks.length, source: new ToyRows(), rows: [0, 2] },
        store: {
          put: (_row, _stream, bytes) => {
            stored.push(Uint8Array.from(bytes));
            return Promise.resolve();
          },
        },
      });
      const batch = await new ToyRows().load([2]);
      return runChain({ model, batch });
    });
    expect([...frontStreams(layout, layout.blocks.length).keys()]).toEqual(['hidden']);
    expect([...outputs.keys()]).toEqual(['hidden']);
    const { buffer, byteOffset, byteLength } = get(outputs, 'hidden');
    expect(stored).toHaveLength(2);
    expect(stored[1]).toEqual(new Uint8Array(buffer, byteOffset, byteLength));
  });
});

describe('a chain of several streams', () => {
  const layout = toyLayout();
  const adapter = toyAdapter(layout, trained);

  it('has gradients that agree with finite differences', async () => {
    const { gradients } = await whole(adapter);
    expect([...gradients.keys()]).toEqual(trained);
    for (const path of trained) {
      const layer = get(adapter.layers, path);
      for (const [index, name] of [
        [0, 'a'],
        [3, 'a'],
        [1, 'b'],
        [2, 'b'],
      ] as const) {
        const step = 2e-2;
        const lossAt = async (offset: number): Promise<number> => {
          const values = layer[name].slice();
          values[index] = (values[index] ?? 0) + offset;
          const layers = new Map(adapter.layers).set(path, { ...layer, [name]: values });
          return (await whole({ ...adapter, layers })).loss;
        };
        const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
        const found = get(gradients, path)[name][index] ?? Number.NaN;
        expect(Math.abs(found - slope)).toBeLessThan(2e-4 + 2e-2 * Math.abs(slope));
      }
    }
  });

  it('gives the same bits whichever blocks keep their tensors', async () => {
    const recomputed = await whole(adapter);
    for (const keptBlocks of [1, 2, 99])
      expect(await whole(adapter, keptBlocks)).toEqual(recomputed);
  });

  it('goes back to the lowest adapted linear of any stream', async () => {
    const low = toyAdapter(layout, ['tower.0.embed', 'layers.1.o']);
    const { gradients } = await whole(low);
    for (const { a, b } of gradients.values())
      for (const values of [a, b]) expect(values.some((value) => value !== 0)).toBe(true);
  });
});

describe('a frozen front', () => {
  const layout = toyLayout();
  const adapter = toyAdapter(layout, trained);

  it('ends before the first block that is trained, emulated or not worth it', () => {
    expect(frontLength(layout, (path) => trained.includes(path))).toBe(2);
    expect(frontLength(layout, (path) => path === 'tower.1.qkv')).toBe(1);
    expect(frontLength(layout, (path) => path === 'tower.0.embed')).toBe(0);
  });

  it('gives the same losses and gradients with its streams brought by batches', async () => {
    const store = new KeptStreams();
    const source = toySource(layout);
    await withModel(layout, source, (model) =>
      runFront({ model, blocks: 2, source: new ToyRows(), rows, store }),
    );
    expect(new Set(source.reads)).toEqual(new Set(['tower.0', 'tower.1']));

    const rest = restOf(layout, 2);
    const restSource = toySource(layout);
    const fronted = new FrontedRows(store, layout);
    const found = await withModel(rest.layout, pagesSource(restSource, rest.pages), (model) =>
      differentiate(model, { adapter, source: fronted }),
    );
    expect(restSource.reads.some((page) => page.startsWith('tower'))).toBe(false);
    const expected = await whole(adapter);
    expect(Math.abs(found.loss - expected.loss)).toBeLessThan(1e-6);
    for (const [path, { a, b }] of expected.gradients) {
      expectClose(get(found.gradients, path).a, a);
      expectClose(get(found.gradients, path).b, b);
    }
  });

  it('gives a row the same streams whatever rows go with it', async () => {
    const bytesOf = async (groups: readonly (readonly number[])[]): Promise<KeptStreams> => {
      const store = new KeptStreams();
      for (const group of groups)
        await withModel(layout, toySource(layout), (model) =>
          runFront({ model, blocks: 2, source: new ToyRows(), rows: group, store }),
        );
      return store;
    };
    const together = await bytesOf([rows]);
    expect(together.streams.size).toBe(rows.length);
    expect((await bytesOf(rows.map((row) => [row]))).streams).toEqual(together.streams);
  });
});

class KeptStreams implements FrontStore {
  readonly streams = new Map<string, Buffer>();

  put(row: number, stream: string, bytes: Uint8Array): Promise<void> {
    this.streams.set(`${stream} ${row}`, Buffer.from(bytes));
    return Promise.resolve();
  }
}

/** Rows that bring what the front wrote. */
class FrontedRows extends ToyRows {
  constructor(
    private readonly store: KeptStreams,
    private readonly layout: ModelLayout,
  ) {
    super();
  }

  override shape(rows: readonly number[]): BatchShape {
    const shape = super.shape(rows);
    return { ...shape, values: new Map([...shape.values, ...frontStreams(this.layout, 2)]) };
  }

  override async load(rows: readonly number[]): Promise<Batch> {
    const batch = await super.load(rows);
    const values = new Map(batch.values);
    for (const stream of frontStreams(this.layout, 2).keys()) {
      const parts = rows.map((row) => get(this.store.streams, `${stream} ${row}`));
      values.set(stream, { bytes: Buffer.concat(parts), dtype: 'float32' });
    }
    return { ...batch, shape: this.shape(rows), values };
  }
}

function expectClose(found: Float32Array, expected: Float32Array): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expected.forEach((value, index) =>
    expect(Math.abs((found[index] ?? Number.NaN) - value)).toBeLessThan(1e-5 * largest),
  );
}
