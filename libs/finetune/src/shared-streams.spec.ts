import { get } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import { allDeviceBytes, minimumDeviceBytes, openPager } from '@emloc/weight-pager';

import { sharedLayout } from '../test/shared-chain.js';
import { openDevice, toyAdapter, ToyRows, toySource } from '../test/toy-chain.js';
import { DeviceAdapter } from './device-adapter.js';
import { evaluate } from './evaluate.js';
import { gradientsOf, type LossAndGradients } from './gradients.js';
import type { PagedModel } from './paged-model.js';

const layout = sharedLayout();
const trained = ['embed.embed', 'source.k', 'source.v', 'passing.change', 'second.q'];
const rows = [0, 1, 2];

async function withModel<T>(
  run: (model: PagedModel) => Promise<T>,
  weights: 'all' | 'least' = 'least',
): Promise<T> {
  const device = openDevice();
  const source = toySource(layout);
  const bytesOf = weights === 'all' ? allDeviceBytes : minimumDeviceBytes;
  const deviceBytes = bytesOf(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  try {
    return await run({ device, layout, pager });
  } finally {
    await pager.close();
    expect(device.liveTensors).toBe(0);
    await device.close();
  }
}

interface Differentiation {
  readonly keptBlocks?: number;
  readonly weights?: 'all' | 'least';
}

function differentiate(
  host: LoraAdapter,
  { keptBlocks = 0, weights }: Differentiation = {},
): Promise<LossAndGradients> {
  return withModel(async (model) => {
    using adapter = DeviceAdapter.load(model.device, layout, host, { trainable: true });
    return await gradientsOf({ model, adapter, source: new ToyRows(), rows, keptBlocks });
  }, weights);
}

describe('streams of one writer and several readers', () => {
  const adapter = toyAdapter(layout, trained);

  it('have the gradients of all readers before their writer is visited', async () => {
    const { gradients } = await differentiate(adapter);
    for (const path of trained) {
      const layer = get(adapter.layers, path);
      for (const [index, name] of [
        [0, 'a'],
        [2, 'b'],
        [5, 'b'],
      ] as const) {
        const step = 2e-2;
        const lossAt = async (offset: number): Promise<number> => {
          const values = layer[name].slice();
          values[index] = (values[index] ?? 0) + offset;
          const layers = new Map(adapter.layers).set(path, { ...layer, [name]: values });
          return (await differentiate({ ...adapter, layers })).loss;
        };
        const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
        const found = get(gradients, path)[name][index] ?? Number.NaN;
        expect(Math.abs(found - slope)).toBeLessThan(2e-4 + 2e-2 * Math.abs(slope));
      }
    }
  });

  it('give the same bits whichever blocks are recomputed, paged or not', async () => {
    const expected = await differentiate(adapter, { weights: 'all', keptBlocks: 99 });
    for (const keptBlocks of [0, 1, 2, 3, 4])
      expect(await differentiate(adapter, { keptBlocks })).toEqual(expected);
  });

  it('wait for all readers where batches go through a block together', async () => {
    const { loss } = await differentiate(adapter);
    const source = new ToyRows();
    const scorer = () => {
      const all: number[] = [];
      return {
        add: async (device, results) => {
          all.push(...(await device.download(get(results, 'losses'))));
        },
        finish: () => all.reduce((sum, value) => sum + value, 0),
      } satisfies ReturnType<Parameters<typeof evaluate<number>>[0]['scorer']>;
    };
    const [total = Number.NaN] = await withModel(async (model) => {
      using variant = DeviceAdapter.load(model.device, layout, adapter, { trainable: false });
      const batches = { source, rows: [[0], [1, 2]] };
      return await evaluate({ model, batches, variants: [variant], scorer });
    });
    expect(total / source.shape(rows).lossWeight).toBeCloseTo(loss, 5);
  });
});
