import { at, get } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import { cpuProfile } from '@emloc/device-cpu';
import { createNullBackend } from '@emloc/device-null';
import {
  defaultAdamw,
  defaultProdigy,
  DeviceAdapter,
  frontLength,
  frontStreams,
  gradientsOf,
  initialAdapter,
  runChain,
  runFront,
  train,
  type OptimizerConfig,
  type PagedModel,
} from '@emloc/finetune';
import { pagesSource, predictionLayout, restOf, type Batch } from '@emloc/models';

import {
  encoded,
  fluxFixture,
  numbersOfAdapter,
  pictures,
  randomSource,
  withModel,
} from '../../test/flux.js';
import {
  ConditionRows,
  ConditionSet,
  givenConditioning,
  keptConditioning,
  type Conditioning,
} from './conditions.js';
import { evaluateDraws } from './diffusion-score.js';
import { conditionOf, drawRows, plainLosses, type DrawRowsOptions } from './draw-rows.js';
import type { Draw } from './draws.js';
import { blankStreams, widened, type KeptStreams } from './kept-streams.js';
import { sample } from './sample.js';
import { questionBatches, samplingConditions } from './sampling-batch.js';

const { layout, limits } = fluxFixture();
const draws: readonly Draw[] = [
  { picture: 0, level: 100, seed: 1 },
  { picture: 1, level: 500, seed: 2 },
  { picture: 2, level: 900, seed: 3 },
  { picture: 3, level: 500, seed: 4 },
];
const given = givenConditioning(limits, encoded);

function source(overrides: Partial<DrawRowsOptions> = {}) {
  return drawRows({
    ...{ limits, draws, pictures, guidance: 1, losses: plainLosses },
    ...{ moments: encoded, prompts: encoded, conditioning: given },
    ...overrides,
  });
}

const float32 = (array: HostArray | undefined): number[] =>
  array ? [...new Float32Array(new Uint8Array(array.bytes).buffer)] : [];

const adapter = () => {
  const made = initialAdapter(layout, { rank: 2, alpha: 2, useRslora: false, targets: null }, 5);
  for (const { b } of made.layers.values()) b.forEach((_, i) => (b[i] = 0.1 * Math.cos(3 * i)));
  return made;
};

function differentiate(model: PagedModel, rows: ReturnType<typeof source>, numbers: number[]) {
  const device = DeviceAdapter.load(model.device, model.layout, adapter(), { trainable: true });
  return gradientsOf({ model, adapter: device, source: rows, rows: numbers }).finally(() =>
    device.dispose(),
  );
}

describe('draws as rows', () => {
  it('have the sizes that they say, whatever sizes are together', async () => {
    const rows = source();
    const { shape, integers, values, ropes } = await rows.load([0, 1, 3]);
    expect(shape).toEqual(rows.shape([0, 1, 3]));
    expect(get(shape.layouts, 'latents')).toEqual([0, 6, 10, 14]);
    expect(get(shape.layouts, 'joint')).toEqual([0, 11, 20, 29]);
    // The class's rows are not counted.
    expect([shape.lossWeight, shape.items]).toEqual([10, 3]);
    for (const [stream, count] of shape.integers) expect(get(integers, stream)).toHaveLength(count);
    for (const [stream, { rows: layoutName, width }] of shape.values) {
      const count = get(shape.layouts, layoutName).at(-1) ?? 0;
      expect([stream, float32(values.get(stream)).length]).toEqual([stream, count * width]);
    }
    expect(get(ropes ?? new Map<string, { cos: Float32Array }>(), 'rope').cos).toHaveLength(29 * 4);
  });

  it('are the same alone and together, and noise decides them', async () => {
    const [alone, together] = await Promise.all([source().load([1]), source().load([0, 1])]);
    const of = (batch: Batch) => float32(batch.values.get('latents'));
    expect(of(together).slice(6 * 16)).toEqual(of(alone));
    const other = draws.map((draw) => ({ ...draw, seed: draw.seed + 10 }));
    expect(of(await source({ draws: other }).load([1]))).not.toEqual(of(alone));
  });

  it('lie between image and noise, and have the way as their target', async () => {
    const at = (level: number) => source({ draws: [{ picture: 1, level, seed: 9 }] }).load([0]);
    const [noise, half, nearly] = [await at(0), await at(500), await at(999)];
    const [e, x, y, target] = [
      float32(noise.values.get('latents')),
      float32(half.values.get('latents')),
      float32(nearly.values.get('latents')),
      float32(half.values.get('target')),
    ];
    for (const [i, way] of target.entries()) {
      const [pure, middle, last] = [e[i] ?? 0, x[i] ?? 0, y[i] ?? 0];
      expect(middle).toBeCloseTo(pure - 0.5 * way, 5);
      expect(last).toBeCloseTo(pure - 0.999 * way, 5);
    }
    expect(float32(nearly.values.get('target'))).toEqual(target);
  });

  it('bring what is wanted, and read nothing else', async () => {
    const read: string[] = [];
    const counting: KeptStreams = {
      read: (row, stream) => {
        read.push(stream);
        return encoded.read(row, stream);
      },
    };
    const rows = source({ moments: counting, prompts: counting });
    rows.shape([0, 1, 2, 3]);
    expect(read).toEqual([]);
    const { values } = await rows.load([0, 1], (stream) => stream === 'prompt');
    expect([...values.keys()]).toEqual(['prompt']);
    expect(read).toEqual(['prompt', 'prompt']);
  });

  it('read moments that a device has kept in bfloat16', async () => {
    const halves: KeptStreams = {
      read: async (row, stream) => {
        const values = new Uint32Array((await encoded.read(row, stream)).bytes.slice().buffer);
        const bytes = new Uint8Array(Uint16Array.from(values, (bits) => bits >>> 16).buffer);
        return { bytes, dtype: 'bfloat16' };
      },
    };
    const [rounded, exact] = await Promise.all([
      source({ moments: halves }).load([0]),
      source().load([0]),
    ]);
    const goal = float32(exact.values.get('latents'));
    float32(rounded.values.get('latents')).forEach((value, i) =>
      expect(Math.abs(value - (goal[i] ?? 0))).toBeLessThan(0.03),
    );
    expect(() => widened({ bytes: new Uint8Array(4), dtype: 'int32' })).toThrow(/int32/);
  });
});

describe('losses of draws', () => {
  it('are means over the numbers of a batch, whose gradients are those of its parts', async () => {
    await withModel(layout, {}, async (model) => {
      const whole = await differentiate(model, source(), [0, 1]);
      const [first, second] = [
        await differentiate(model, source(), [0]),
        await differentiate(model, source(), [1]),
      ];
      // 6 and 4 rows
      const mean = (a: number, b: number): number => 0.6 * a + 0.4 * b;
      expect(whole.loss).toBeCloseTo(mean(first.loss, second.loss), 5);
      for (const [path, { b }] of whole.gradients)
        b.forEach((value, i) =>
          expect(value).toBeCloseTo(
            mean(get(first.gradients, path).b[i] ?? 0, get(second.gradients, path).b[i] ?? 0),
            4,
          ),
        );
    });
  });

  it("add the class's, times their weight, and weigh by noise level", async () => {
    await withModel(layout, {}, async (model) => {
      const plain = [
        await differentiate(model, source(), [1]),
        await differentiate(
          model,
          source({ pictures: [...pictures.slice(0, 3), at(pictures, 1)] }),
          [3],
        ),
      ];
      const losses = { weighting: 'sigma-sqrt', classWeight: 0.25 } as const;
      const asClass = [...pictures.slice(0, 3), { ...at(pictures, 1), isClass: true }];
      const both = await differentiate(model, source({ losses, pictures: asClass }), [1, 3]);
      // Both are at noise level 0.5: a factor of 4.
      const sum = (a: number, b: number): number => 4 * (a + 0.25 * b);
      const [one, other] = [at(plain, 0), at(plain, 1)];
      expect(both.loss).toBeCloseTo(sum(one.loss, other.loss), 4);
      for (const [path, { a }] of both.gradients)
        a.forEach((value, i) =>
          expect(value).toBeCloseTo(
            sum(get(one.gradients, path).a[i] ?? 0, get(other.gradients, path).a[i] ?? 0),
            3,
          ),
        );
    });
  });
});

/** What the beginning of the chain makes of conditions, by number. */
async function keptOf(set: ConditionSet, blocks: number): Promise<Conditioning> {
  const kept = new Map<string, Uint8Array>();
  await withModel(layout, {}, (model) =>
    runFront({
      ...{ model, blocks, source: new ConditionRows(set, given) },
      rows: Array.from({ length: set.count }, (_, row) => row),
      store: {
        put: (row, stream, bytes) => {
          kept.set(`${row} ${stream}`, bytes.slice());
          return Promise.resolve();
        },
      },
    }),
  );
  return keptConditioning(set, frontStreams(layout, blocks), {
    read: (row, stream) =>
      Promise.resolve({ bytes: get(kept, `${row} ${stream}`), dtype: 'float32' }),
  });
}

describe('conditions', () => {
  const conditions = draws.map((draw) => conditionOf({ pictures, guidance: 1, limits }, draw));
  const blocks = frontLength(layout, () => false);

  it('are counted once each', () => {
    const set = new ConditionSet([...conditions, ...conditions]);
    expect(set.count).toBe(4);
    expect(set.add({ noiseLevel: 0.5, guidance: 1, caption: 1 })).toBe(1);
    expect(set.add({ noiseLevel: 0.5, guidance: null, caption: 1 })).toBe(4);
    expect(() => set.numberOf({ noiseLevel: 0.25, guidance: 1, caption: 1 })).toThrow(RangeError);
  });

  it('kept beforehand give the losses and gradients of the whole chain', async () => {
    const conditioning = await keptOf(new ConditionSet(conditions), blocks);
    expect(blocks).toBe(4);
    expect(conditioning.streams.size).toBe(3);
    const rest = restOf(layout, blocks);
    const whole = await withModel(layout, {}, (model) =>
      differentiate(model, source(), [0, 1, 2, 3]),
    );
    const pages = pagesSource(randomSource(layout), rest.pages);
    const short = await withModel(rest.layout, { source: pages }, (model) =>
      differentiate(model, source({ conditioning }), [0, 1, 2, 3]),
    );
    expect(short.loss).toBeCloseTo(whole.loss, 6);
    for (const [path, { a }] of whole.gradients)
      a.forEach((value, i) => expect(get(short.gradients, path).a[i]).toBeCloseTo(value, 5));
  });

  it('of sampling are those that it asks about', async () => {
    const size = { height: 4, width: 6 };
    const captions = { positive: 1, negative: 0 };
    const run = { limits, size, steps: 3, guidance: 2, captions };
    const set = new ConditionSet(samplingConditions(run));
    expect(set.count).toBe(6);
    const rest = restOf(layout, blocks);
    const images: Float32Array[] = [];
    for (const conditioning of [given, await keptOf(set, blocks)]) {
      const chain = predictionLayout(conditioning === given ? layout : rest.layout);
      const pages = conditioning === given ? undefined : rest.pages;
      const weights = randomSource(layout);
      const used = pages ? pagesSource(weights, pages) : weights;
      await withModel(chain, { source: used }, async (model) => {
        const batchOf = questionBatches({ limits, captions, prompts: encoded, conditioning });
        const made = await sample({
          ...{ limits, size, steps: 3, guidance: 2, negativeScale: 1.5, start: { seed: 1 } },
          schedule: limits.schedule,
          evaluate: async (question) => {
            const batch = await batchOf(question);
            return get(await runChain({ model, batch }), 'prediction');
          },
        });
        images.push(made);
      });
    }
    const [direct, kept] = images;
    expect(direct).toHaveLength(6 * 16);
    direct?.forEach((value, i) => expect(kept?.[i]).toBeCloseTo(value, 4));
  });

  it('leave guidance out where the model takes none', async () => {
    const few = fluxFixture({ hasGuidance: false });
    const rows = source({
      ...{ limits: few.limits, guidance: null },
      conditioning: givenConditioning(few.limits, encoded),
    });
    expect(rows.shape([0]).values.has('guidance')).toBe(false);
    await withModel(few.layout, {}, async (model) => {
      expect((await differentiate(model, rows, [0])).loss).toBeGreaterThan(0);
    });
  });
});

describe('training on draws', () => {
  it.each<[string, OptimizerConfig, number, number]>([
    ['AdamW', defaultAdamw, 2e-2, 50],
    // Its first steps find the step size.
    ['Prodigy', defaultProdigy, 1, 80],
  ])('lowers the loss with %s', async (_name, optimizer, learningRate, steps) => {
    await withModel(layout, {}, async (model) => {
      const { adapter: trained } = await train({
        ...{ model, adapter: adapter(), rows: source(), optimizer, keptBlocks: 0 },
        batches: new Array(steps).fill([[0, 1], [2]]),
        schedule: { kind: 'constant', learningRate, steps, warmupRatio: 0 },
      });
      const before = DeviceAdapter.load(model.device, layout, adapter(), { trainable: false });
      const after = DeviceAdapter.load(model.device, layout, trained, { trainable: false });
      const batches = { source: source(), rows: [[0, 1], [2]] };
      const scores = await evaluateDraws({ model, batches, variants: [before, after, null] });
      before.dispose();
      after.dispose();
      const [first, second, base] = scores.map(({ loss }) => loss);
      expect(second).toBeLessThan(0.9 * (first ?? 0));
      expect(base).not.toBeCloseTo(first ?? 0, 3);
      expect(numbersOfAdapter(trained)).not.toEqual(numbersOfAdapter(adapter()));
    });
  });
});

describe('scores of draws', () => {
  it('are means over all numbers, and by noise level', async () => {
    await withModel(layout, {}, async (model) => {
      const one = async (row: number) => {
        const batches = { source: source(), rows: [[row]] };
        return at(await evaluateDraws({ model, batches, variants: [null] }), 0).loss;
      };
      const parts = [await one(0), await one(1), await one(2), await one(3)] as const;
      const batches = {
        source: source(),
        rows: [
          [0, 1],
          [2, 3],
        ],
      };
      const [all] = await evaluateDraws({ model, batches, variants: [null] });
      const rows = [6, 4, 6, 4] as const;
      const mean = (...numbers: (0 | 1 | 2 | 3)[]): number =>
        numbers.reduce<number>((sum, i) => sum + parts[i] * rows[i], 0) /
        numbers.reduce<number>((sum, i) => sum + rows[i], 0);
      expect(all?.loss).toBeCloseTo(mean(0, 1, 2, 3), 5);
      expect(all).toMatchObject({ draws: 4, rows: 20 });
      expect(Object.keys(all ?? {})[0]).toBe('loss');
      // Noise levels 0.9, 0.5, 0.1, 0.5.
      expect(all?.bands.map((band) => band.draws)).toEqual([1, 2, 1]);
      expect(all?.bands[0]?.loss).toBeCloseTo(mean(2), 5);
      expect(all?.bands[1]?.loss).toBeCloseTo(mean(1, 3), 5);
      expect(all?.bands[2]?.loss).toBeCloseTo(mean(0), 5);
    });
  });

  it('have no error where there is no draw, and need one at all', async () => {
    await withModel(layout, {}, async (model) => {
      const batches = { source: source(), rows: [[0]] };
      const [all] = await evaluateDraws({ model, batches, variants: [null] });
      expect(all?.bands.map(({ loss }) => loss === null)).toEqual([true, true, false]);
      await expect(
        evaluateDraws({ model, batches: { ...batches, rows: [] }, variants: [null] }),
      ).rejects.toMatchObject({ code: 'FINETUNE_NO_TARGETS' });
    });
  });
});

describe('planning', () => {
  const blank = blankStreams((row, stream) => {
    const { height, width } = at(pictures, row).size;
    if (stream === 'moments') return height * width * 8;
    return stream === 'prompt' ? 5 * limits.promptWidth : limits.pooledWidth;
  }, 'float32');
  const planned = source({
    ...{ moments: blank, prompts: blank },
    conditioning: givenConditioning(limits, blank),
  });

  it('knows all sizes without any pixel', async () => {
    expect((await planned.load([0, 2])).shape).toEqual(source().shape([0, 2]));
  });

  it.each<[string, OptimizerConfig, number]>([
    ['two numbers a parameter for AdamW', defaultAdamw, 2],
    ['four for Prodigy', defaultProdigy, 4],
  ])('sees a step of training with %s', async (_name, optimizer, numbers) => {
    const backend = createNullBackend(cpuProfile);
    await withModel(layout, { backend }, async (model) => {
      let bytes = 0;
      await train({
        ...{ model, adapter: adapter(), rows: planned, optimizer, keptBlocks: 0 },
        batches: [[[0, 1], [2]]],
        schedule: { kind: 'constant', learningRate: 1, steps: 1, warmupRatio: 0 },
        onStep: () => (bytes = model.device.budget.inUseBytesOf('optimizer')),
      });
      const parameters = numbersOfAdapter(adapter()).length;
      expect(Math.round(bytes / (4 * parameters))).toBe(numbers);
      expect(backend.work.has('prodigyUpdate')).toBe(optimizer.kind === 'prodigy');
    });
  });
});
