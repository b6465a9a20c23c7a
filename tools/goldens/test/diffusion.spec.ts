import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { at, get } from '@emloc/checked';
import {
  openCheckpoint,
  writeSafetensors,
  type LoraAdapter,
  type SafetensorsEntry,
} from '@emloc/checkpoint';
import { byteLength, Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { deviceTarget } from '@emloc/device-registry';
import {
  DeviceAdapter,
  frontLength,
  frontStreams,
  gradientsOf,
  runChain,
  runFront,
  type PagedModel,
} from '@emloc/finetune';
import {
  fixtureNames,
  float32Limits,
  unpackFixture,
  type GoldenFixture,
} from '@emloc/golden-models';
import {
  diffusionPlaces,
  diffusionRows,
  diffusionSizes,
  noiseFeatures,
  openDiffusionModel,
  pagesSource,
  predictionLayout,
  restOf,
  diffusionStreams as streams,
  type Batch,
  type DiffusionLimits,
  type ModelLayout,
  type ValueShape,
} from '@emloc/models';
import { openPager, type LayerSource } from '@emloc/weight-pager';

import { compareDiffusionFolder } from '../src/diffusion-folder.js';

const from = fileURLToPath(
  new URL('../../../libs/golden-models/fixtures/diffusion', import.meta.url),
);
const target = deviceTarget('cpu');

async function onCpu<T>(
  layout: ModelLayout,
  source: LayerSource,
  use: (model: PagedModel) => Promise<T>,
): Promise<T> {
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
  const pager = openPager({ device, source, deviceBytes: 2 ** 28, hostBytes: 2 ** 28 });
  try {
    return await use({ device, layout, pager });
  } finally {
    await pager.close();
    expect(device.liveTensors).toBe(0);
    await device.close();
  }
}

/** Samples of these sizes, filled with smooth numbers. */
function batchOf(
  limits: DiffusionLimits,
  samples: readonly { promptTokens: number; rows: number; columns: number; level: number }[],
): Batch {
  const sizes = diffusionSizes(limits, samples);
  const { latents, prompt, samples: each } = diffusionRows;
  const smooth = (rows: string, width: number, seed: number): [string, Float32Array, number] => {
    const offsets = get(sizes.layouts, rows);
    const values = samples.flatMap((_, sample) =>
      Array.from({ length: (at(offsets, sample + 1) - at(offsets, sample)) * width }, (_, index) =>
        Math.sin(0.37 * index + seed),
      ),
    );
    return [rows, Float32Array.from(values), width];
  };
  const features = samples.flatMap(({ level }) => [...noiseFeatures(limits, level)]);
  const level = (): [string, Float32Array, number] => [
    each,
    Float32Array.from(features),
    limits.featureWidth,
  ];
  const values = new Map([
    [streams.latents, smooth(latents, limits.latentChannels * limits.patch ** 2, 1)],
    [streams.prompt, smooth(prompt, limits.promptWidth, 2)],
    [streams.pooled, smooth(each, limits.pooledWidth, 3)],
    [streams.noiseLevel, level()],
    ...(limits.hasGuidance ? [[streams.guidance, level()] as const] : []),
  ]);
  return {
    ...diffusionPlaces(limits, samples),
    shape: {
      ...sizes,
      values: new Map([...values].map(([name, [rows, , width]]) => [name, { rows, width }])),
      lossWeight: 1,
      items: samples.length,
    },
    values: new Map(
      [...values].map(([name, [, { buffer, byteOffset, byteLength }]]) => [
        name,
        { bytes: new Uint8Array(buffer, byteOffset, byteLength), dtype: 'float32' as const },
      ]),
    ),
  };
}

/** Gives the tensors of a component other names. */
async function rename(folder: string, to: (name: string) => string): Promise<void> {
  await using checkpoint = await openCheckpoint(folder);
  const entries: SafetensorsEntry[] = [];
  for (const [name, { shape, dtype }] of checkpoint.tensors) {
    const bytes = new Uint8Array(byteLength(shape, 'bfloat16'));
    await checkpoint.read(name, bytes);
    entries.push({ name: to(name), shape, dtype, data: () => bytes });
  }
  await writeSafetensors(join(folder, 'model.safetensors'), entries, { format: 'pt' });
}

/** The same with targets. */
function trainingBatch(limits: DiffusionLimits, samples: Parameters<typeof batchOf>[1]): Batch {
  const batch = batchOf(limits, samples);
  const count = at(get(batch.shape.layouts, diffusionRows.latents), samples.length);
  const bytesOf = (length: number, of: (index: number) => number): Uint8Array =>
    new Uint8Array(Float32Array.from({ length }, (_, index) => of(index)).buffer);
  const { rows, width } = get(batch.shape.values, streams.latents);
  const target = bytesOf(count * width, (index) => Math.cos(0.21 * index));
  const weight = bytesOf(count, (index) => 1 + (index % 2));
  return {
    ...batch,
    shape: {
      ...batch.shape,
      values: new Map<string, ValueShape>([
        ...batch.shape.values,
        [streams.target, { rows, width }],
        [streams.weight, { rows, width: 1, dtype: 'float32' }],
      ]),
      lossWeight: count,
    },
    values: new Map([
      ...batch.values,
      [streams.target, { bytes: target, dtype: 'float32' }],
      [streams.weight, { bytes: weight, dtype: 'float32' }],
    ]),
  };
}

function adapterOn({ linears }: ModelLayout): LoraAdapter {
  const rank = 2;
  const smooth = (length: number, scale: number, seed: number): Float32Array =>
    Float32Array.from({ length }, (_, index) => scale * Math.sin(0.7 * index + seed));
  const layers = linears.map(({ path, inFeatures, outFeatures }, index) => {
    const a = smooth(rank * inFeatures, 1 / Math.sqrt(inFeatures), index);
    const b = smooth(rank * outFeatures, 0.05, 2 * index);
    return [path, { a, b, inFeatures, outFeatures }] as const;
  });
  return { rank, alpha: 2, useRslora: false, targetModules: [], layers: new Map(layers) };
}

const first = { promptTokens: 7, rows: 3, columns: 2, level: 0.75 };
const second = { promptTokens: 5, rows: 2, columns: 4, level: 0.25 };

describe.each(fixtureNames(from))('%s', (name) => {
  let fixture: GoldenFixture;
  beforeAll(async () => {
    fixture = await unpackFixture(name, { from });
  });
  afterAll(() => fixture.close());

  it('computes what diffusers and transformers do', async () => {
    const check = { target, vramBytes: null, limits: float32Limits };
    const comparison = await compareDiffusionFolder(fixture.folder, check);
    expect(comparison?.wrong).toEqual([]);
    expect(comparison?.worst.outputs).toBeGreaterThan(0);
  });

  it('computes the same with the names of older files', async () => {
    const folder = `${fixture.folder}-older`;
    await cp(fixture.folder, folder, { recursive: true });
    await rename(join(folder, 'text_encoder'), (tensor) => `text_model.${tensor}`);
    await rename(join(folder, 'text_encoder_2'), (tensor) =>
      tensor === 'shared.weight' ? 'encoder.embed_tokens.weight' : tensor,
    );
    const check = { target, vramBytes: null, limits: float32Limits };
    const older = await compareDiffusionFolder(folder, check);
    await rm(folder, { recursive: true });
    expect(older).toEqual(await compareDiffusionFolder(fixture.folder, check));
  });

  it('computes the same in pages', async () => {
    const check = { target, limits: float32Limits };
    const whole = await compareDiffusionFolder(fixture.folder, { ...check, vramBytes: null });
    const paged = await compareDiffusionFolder(fixture.folder, { ...check, vramBytes: 1_500_000 });
    expect(paged).toEqual(whole);
  });

  it('gives samples that are packed what they get alone', async () => {
    await using models = await openDiffusionModel(fixture.folder);
    const { transformer, limits } = models;
    const layout = predictionLayout(transformer.layout);
    const [both, alone] = await onCpu(layout, transformer.source, async (model) => {
      const predict = async (samples: Parameters<typeof batchOf>[1]): Promise<Float32Array> =>
        get(await runChain({ model, batch: batchOf(limits, samples) }), streams.prediction);
      return [await predict([first, second]), await predict([first])];
    });
    const rows = first.rows * first.columns;
    const width = both.length / (rows + second.rows * second.columns);
    expect(alone).toHaveLength(rows * width);
    alone.forEach((value, index) => expect(both[index]).toBeCloseTo(value, 3));
  });

  it('has gradients of every linear that agree with finite differences', async () => {
    await using models = await openDiffusionModel(fixture.folder);
    const { transformer, limits } = models;
    const { layout, source } = transformer;
    const batch = trainingBatch(limits, [first, second]);
    const rows = { shape: () => batch.shape, load: () => Promise.resolve(batch) };
    const host = adapterOn(layout);
    await onCpu(layout, source, async (model) => {
      const differentiate = async (
        b: (path: string) => Float32Array,
      ): ReturnType<typeof gradientsOf> => {
        const layers = [...host.layers].map(
          ([path, layer]) => [path, { ...layer, b: b(path) }] as const,
        );
        const moved = { ...host, layers: new Map(layers) };
        using adapter = DeviceAdapter.load(model.device, layout, moved, { trainable: true });
        return await gradientsOf({ model, adapter, source: rows, rows: [0] });
      };
      const { gradients } = await differentiate((path) => get(host.layers, path).b);
      for (const { path } of layout.linears) {
        const { b } = get(gradients, path);
        const norm = Math.hypot(...b);
        const step = 0.02 / norm;
        const along = async (sign: number): Promise<number> => {
          const moved = (each: string): Float32Array => {
            const own = get(host.layers, each).b;
            if (each !== path) return own;
            return own.map((value, index) => value + (sign * step * at(b, index)) / norm);
          };
          return (await differentiate(moved)).loss;
        };
        const slope = ((await along(1)) - (await along(-1))) / (2 * step);
        expect([path, Math.abs(slope / norm - 1) < 0.05]).toEqual([path, true]);
      }
    });
  });

  it('gives the same with a front whose streams are brought', async () => {
    await using models = await openDiffusionModel(fixture.folder);
    const { transformer, limits } = models;
    const layout = predictionLayout(transformer.layout);
    const batch = batchOf(limits, [first]);
    const whole = await onCpu(layout, transformer.source, (model) => runChain({ model, batch }));
    const blocks = frontLength(layout, () => false);
    const values = new Map(batch.values);
    await onCpu(layout, transformer.source, (model) =>
      runFront({
        ...{ model, blocks, rows: [0] },
        source: { shape: () => batch.shape, load: () => Promise.resolve(batch) },
        store: {
          put: (_row, stream, bytes) => {
            values.set(stream, { bytes: Uint8Array.from(bytes), dtype: 'float32' });
            return Promise.resolve();
          },
        },
      }),
    );
    const made = frontStreams(layout, blocks);
    const rest = restOf(layout, blocks);
    const brought = {
      ...batch,
      shape: { ...batch.shape, values: new Map([...batch.shape.values, ...made]) },
      values,
    };
    const source = pagesSource(transformer.source, rest.pages);
    const again = await onCpu(rest.layout, source, (model) => runChain({ model, batch: brought }));
    expect(made.size).toBe(layout.blocks.filter(({ isFront }) => isFront).length - 1);
    expect(again).toEqual(whole);
  });
});
