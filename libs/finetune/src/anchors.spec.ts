import { at, get } from '@emloc/checked';
import {
  allDeviceBytes,
  minimumDeviceBytes,
  openPager,
  type LayerSource,
} from '@emloc/weight-pager';

import { openDevice, toyAdapter, toyLayout, ToyRows, toySource } from '../test/toy-chain.js';
import { Anchors, correctionShare } from './anchors.js';
import { DeviceAdapter } from './device-adapter.js';
import { gradientsOf, type LossAndGradients } from './gradients.js';
import { defaultAdamw } from './optimizer/adamw.js';
import { PassContext, type PagedModel } from './paged-model.js';
import { coveringBatches } from './step-batches.js';
import { train, type TrainOptions, type TrainResult } from './train.js';
import type { TrainingState } from './training-state.js';

const layout = toyLayout();
const adapter = toyAdapter(layout, [
  'layers.0.modulation',
  'layers.0.q',
  'layers.1.k',
  'layers.1.o',
  'head.out',
]);
const batches = [[[0, 1], [2]], [[3]], [[1]], [[2], [0]], [[3]]];
const steps = batches.length;

/** Weights that are a little off: what stands for an emulator. */
function emulatorSource(): LayerSource {
  const source = toySource(layout);
  return {
    ...source,
    read: async (layer, tensor, destination) => {
      await source.read(layer, tensor, destination);
      const { buffer, byteOffset, byteLength } = destination;
      const values = new Float32Array(buffer, byteOffset, byteLength / 4);
      values.forEach((value, index) => (values[index] = value * (1 + 0.3 * Math.sin(index + 1))));
    },
  };
}

type Weights = 'all' | 'least';

/** Runs with an emulator and the original on one device; nothing may be left there. */
async function withModels<T>(
  use: (models: { readonly emulator: PagedModel; readonly original: PagedModel }) => Promise<T>,
  { emulator = emulatorSource(), weights = 'least' as Weights } = {},
): Promise<T> {
  const device = openDevice();
  const open = (source: LayerSource): PagedModel & AsyncDisposable => {
    const deviceBytes = (weights === 'all' ? allDeviceBytes : minimumDeviceBytes)(source, device);
    const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
    return { device, layout, pager, [Symbol.asyncDispose]: () => pager.close() };
  };
  try {
    await using emulated = open(emulator);
    await using whole = open(toySource(layout));
    return await use({ emulator: emulated, original: whole });
  } finally {
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
    await device.close();
  }
}

const common = {
  adapter,
  rows: new ToyRows(),
  batches,
  schedule: { kind: 'constant', learningRate: 0.01, steps, warmupRatio: 0 },
  optimizer: { ...defaultAdamw, maxGradientNorm: Number.POSITIVE_INFINITY },
  keptBlocks: 1,
} as const;

function anchored(
  isAnchor: (step: number) => boolean,
  options: Partial<TrainOptions> = {},
  models: Parameters<typeof withModels>[1] = {},
): Promise<TrainResult> {
  return withModels(
    ({ emulator, original }) =>
      train({ ...common, model: emulator, anchors: { original, isAnchor }, ...options }),
    models,
  );
}

const plain = (): Promise<TrainResult> =>
  withModels(({ original }) => train({ ...common, model: original }));

const every =
  (count: number) =>
  (step: number): boolean =>
    step % count === 0;

const valuesOf = ({ adapter: { layers } }: Pick<TrainResult, 'adapter'>) =>
  [...layers.values()].map(({ a, b }) => [a, b]);

describe('anchored training', () => {
  it('is training on the original where every step is an anchor', async () => {
    const onOriginal = await plain();
    const everywhere = await anchored(() => true);
    expect(valuesOf(everywhere)).toEqual(valuesOf(onOriginal));
    expect(everywhere.finalLoss).toBe(onOriginal.finalLoss);
  });

  it('changes nothing where the emulator is the original', async () => {
    const emulator = toySource(layout);
    expect(valuesOf(await anchored(every(2), {}, { emulator }))).toEqual(valuesOf(await plain()));
  });

  it('leaves dropout out at anchors, and the steps between with it', async () => {
    const dropout = { probability: 0.4, seed: 1, run: 'train' };
    const onOriginal = await plain();
    expect(valuesOf(await anchored(() => true, { dropout }))).toEqual(valuesOf(onOriginal));
    const between = await anchored(every(2), { dropout });
    expect(valuesOf(between)).not.toEqual(valuesOf(await anchored(every(2))));
    expect(valuesOf(await anchored(every(2), { dropout, keptBlocks: 99 }))).toEqual(
      valuesOf(between),
    );
  });

  it('says which steps are anchors, and their losses on the original', async () => {
    const seen: (readonly [boolean, number])[] = [];
    const onOriginal: number[] = [];
    await anchored(every(2), { onStep: ({ anchor, loss }) => seen.push([anchor, loss]) });
    await withModels(({ original }) =>
      train({ ...common, model: original, onStep: ({ loss }) => onOriginal.push(loss) }),
    );
    expect(seen.map(([anchor]) => anchor)).toEqual([true, false, true, false, true]);
    expect(at(seen, 0)[1]).toBe(at(onOriginal, 0));
    expect(at(seen, 1)[1]).not.toBe(at(onOriginal, 1));
  });

  it('has the same bits whether weights are paged or stay', async () => {
    const paged = await anchored(every(2));
    const resident = await anchored(every(2), { keptBlocks: 99 }, { weights: 'all' });
    expect(valuesOf(resident)).toEqual(valuesOf(paged));
    expect(valuesOf(paged)).not.toEqual(valuesOf(await anchored((step) => step === 0)));
  });

  it('goes on to the same bits from every state, and from no other', async () => {
    const states: TrainingState[] = [];
    const save = (state: TrainingState): Promise<void> => Promise.resolve(void states.push(state));
    const checkpoint = { everySteps: 1, save };
    const whole = await anchored(every(3), { checkpoint });
    expect(states.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    for (const resume of states)
      expect(valuesOf(await anchored(every(3), { resume }))).toEqual(valuesOf(whole));
    const second = at(states, 1);
    const { anchor: _left, ...without } = second;
    for (const resume of [without, { ...second, anchor: [] }])
      await expect(anchored(every(3), { resume })).rejects.toMatchObject({
        code: 'FINETUNE_INVALID_STATE',
      });
    await expect(
      withModels(({ original }) => train({ ...common, model: original, resume: second })),
    ).rejects.toMatchObject({ code: 'FINETUNE_INVALID_STATE' });
  });

  it('saves what the run goes on from where it is stopped within an anchor', async () => {
    const stop = new AbortController();
    const states: TrainingState[] = [];
    const save = (state: TrainingState): Promise<void> => Promise.resolve(void states.push(state));
    const whole = await anchored(every(3));
    // Rows are read once for the emulator, then by the first visit of the original.
    class Stopping extends ToyRows {
      #reads = 0;
      override load(rows: readonly number[]) {
        this.#reads += rows.includes(2) && rows.length === 1 ? 1 : 0;
        if (this.#reads > 2 * layout.blocks.length) stop.abort(new Error('stopped'));
        return super.load(rows);
      }
    }
    const options = { rows: new Stopping(), signal: stop.signal };
    await expect(
      anchored(every(3), { ...options, checkpoint: { everySteps: Infinity, save } }),
    ).rejects.toThrow('stopped');
    const [state] = states;
    expect(states).toHaveLength(1);
    expect(state?.step).toBe(3);
    expect(valuesOf(await anchored(every(3), { resume: state ?? null }))).toEqual(valuesOf(whole));
  });

  it('names what is not finite on the original', async () => {
    const broken = toySource(layout);
    const source: LayerSource = {
      ...broken,
      read: async (layer, tensor, destination) => {
        await broken.read(layer, tensor, destination);
        const { name } = at(broken.layers, layer);
        if (name === 'layers.1')
          new Float32Array(destination.buffer, destination.byteOffset, 1).fill(Number.NaN);
      },
    };
    await withModels(async ({ emulator }) => {
      const { device } = emulator;
      const deviceBytes = minimumDeviceBytes(source, device);
      await using pager = openPager({ device, source, deviceBytes, hostBytes: 2 ** 30 });
      const anchors = { original: { device, layout, pager }, isAnchor: every(2) };
      await expect(train({ ...common, model: emulator, anchors })).rejects.toMatchObject({
        code: 'FINETUNE_NON_FINITE',
        layer: 'layers.1',
      });
    });
  });
});

describe("an anchor's correction", () => {
  const flat = ({ gradients }: LossAndGradients): number[] =>
    [...gradients.values()].flatMap(({ a, b }) => [...a, ...b]);
  const norm = (values: readonly number[]): number => Math.hypot(...values);

  it.each([
    ['a long one', 1],
    ['a short one', 0.02],
  ])('%s is added, its norm at most half of the gradient', async (_name, off) => {
    const source = toySource(layout);
    const emulator: LayerSource = {
      ...source,
      read: async (layer, tensor, destination) => {
        await source.read(layer, tensor, destination);
        const { buffer, byteOffset, byteLength } = destination;
        const values = new Float32Array(buffer, byteOffset, byteLength / 4);
        values.forEach((value, i) => (values[i] = value * (1 + off * Math.sin(i + 1))));
      },
    };
    await withModels(
      async ({ emulator: model, original }) => {
        const rows = [0, 1, 2];
        const rowSource = new ToyRows();
        using device = DeviceAdapter.load(model.device, layout, adapter, { trainable: true });
        const inputs = { adapter: device, source: rowSource, rows };
        const [onEmulator, onOriginal] = [
          flat(await gradientsOf({ ...inputs, model })),
          flat(await gradientsOf({ ...inputs, model: original })),
        ];
        await gradientsOf({ ...inputs, model });
        using pass = PassContext.of(original, {
          source: rowSource,
          rows: coveringBatches([[rows]]),
        });
        using anchors = new Anchors({ original, isAnchor: () => true }, device);
        const gradientScale = 1 / rowSource.shape(rows).lossWeight;
        await anchors.take({ pass, source: rowSource, rows: [rows], gradientScale });
        const download = async (): Promise<number[]> => {
          const values: number[] = [];
          for (const tensor of device.gradients)
            values.push(...(await model.device.download(tensor)));
          return values;
        };
        expect(await download()).toEqual(onOriginal);
        const next = await gradientsOf({ ...inputs, rows: [3], model });
        await anchors.correct();
        const corrected = await download();
        const c = onOriginal.map((value, i) => value - at(onEmulator, i));
        const g = flat(next);
        const share = Math.min(1, (0.5 * norm(g)) / norm(c));
        expect(share < 1).toBe(off === 1);
        corrected.forEach((value, i) =>
          expect(Math.abs(value - (at(g, i) + share * at(c, i)))).toBeLessThan(1e-5 * norm(g)),
        );
      },
      { emulator },
    );
  });

  it.each([
    ['nothing', [4, 0], 1],
    ['a quarter of the gradient', [16, 1], 1],
    ['half of it', [16, 4], 1],
    ['as long as it', [9, 9], 0.5],
    ['ten times as long', [1, 100], 0.05],
    ['all there is', [0, 4], 0],
    ['neither', [0, 0], 1],
  ])('has its share where it is %s', (_name, squares, share) => {
    expect(correctionShare(Float32Array.from(squares))).toBeCloseTo(share, 12);
  });

  it('lies where the gradients lie', async () => {
    await withModels(async ({ original: { device } }) => {
      using loaded = DeviceAdapter.load(device, layout, adapter, { trainable: true });
      const parts = loaded.partsOf(loaded.flatGradients);
      expect(parts.map(({ shape }) => shape)).toEqual(loaded.gradients.map(({ shape }) => shape));
      const [first, second] = [get(adapter.layers, 'layers.0.modulation'), parts[1]];
      expect(second?.elementOffset).toBeGreaterThanOrEqual(first.a.length);
      return Promise.resolve();
    });
  });
});
