import { at, get } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import { DeviceAdapter, gradientsOf, runChain, type PagedModel } from '@emloc/finetune';
import {
  diffusionPlaces,
  diffusionRows,
  diffusionSizes,
  encoderStreams,
  imageBatch,
  latentBatch,
  noiseFeatures,
  pooledBatch,
  predictionLayout,
  promptBatch,
  diffusionStreams as streams,
  type Batch,
  type DiffusionLimits,
  type DiffusionModel,
  type Model,
} from '@emloc/models';
import {
  decoderLatents,
  packLatents,
  sample,
  samplingNoiseLevels,
  unpackLatents,
} from '@emloc/tasks';

import type { Measured } from './compare.js';
import { pixelsOf, tensorOf, type DiffusionGolden } from './diffusion-golden.js';
import { loraOn } from './golden-lora.js';

/** Opens a component on a device for the time of `run`. */
type WithModel = <T>(model: Model, run: (paged: PagedModel) => Promise<T>) => Promise<T>;

interface DiffusionMeasurement {
  readonly models: DiffusionModel;
  readonly golden: DiffusionGolden;
  readonly withModel: WithModel;
}

/** What a program computes with a golden's models. */
export interface MeasuredDiffusion {
  /** By the names of the golden's tensors, in the shapes of `expectedOutputs`. */
  readonly outputs: ReadonlyMap<string, Float32Array>;
  readonly noiseLevels: readonly number[];
  readonly lora: Measured['lora'];
}

/**
 * Computes with every component what the golden has of it, each from the golden's own inputs, and
 * an image from its prompts.
 */
export async function measureDiffusion(run: DiffusionMeasurement): Promise<MeasuredDiffusion> {
  const { models, golden, withModel } = run;
  const { limits } = models;
  const prompts = await measurePrompts(run);
  const image = pixelsOf(tensorOf(golden, 'vae.image'));
  const moments = await outputOf(withModel, models.vaeEncoder, {
    batch: imageBatch(limits, image, hostArray(image.pixels)),
    stream: encoderStreams.moments,
  });
  const mean = pixelsOf(tensorOf(golden, 'vae.mean'));
  const decode = (grid: Grid, latents: Float32Array): Promise<Float32Array> =>
    outputOf(withModel, models.vaeDecoder, {
      batch: latentBatch(limits, grid, hostArray(latents)),
      stream: encoderStreams.image,
    });
  const decoded = await decode(image, mean.pixels);
  const trained = await measureTransformer(run);
  return {
    noiseLevels: samplingNoiseLevels(limits.schedule, {
      steps: golden.sample.steps,
      rows: sampleRows(golden, limits),
    }),
    lora: trained.lora,
    outputs: new Map([
      ...prompts,
      ['vae.mean', channelsOf(moments, { from: 0, limits })],
      ['vae.logvar', channelsOf(moments, { from: limits.latentChannels, limits })],
      ['vae.decoded_of_mean', decoded],
      ['train.packed_noisy', trained.noisy],
      ['train.prediction', trained.prediction],
      ['sample.image', (await decode(golden.sample, trained.sampled)).map(brightness)],
    ]),
  };
}

/** From -1 to 1, and what is beyond, to 0 to 1. */
function brightness(value: number): number {
  return Math.min(1, Math.max(0, value / 2 + 0.5));
}

interface Grid {
  readonly height: number;
  readonly width: number;
}

async function measurePrompts({
  models,
  golden,
  withModel,
}: DiffusionMeasurement): Promise<readonly (readonly [string, Float32Array])[]> {
  const { limits } = models;
  const pooled = await outputOf(withModel, models.clip, {
    batch: pooledBatch(limits, Int32Array.from(golden.clipIds)),
    stream: encoderStreams.pooled,
  });
  const prompt = await outputOf(withModel, models.t5, {
    batch: promptBatch(limits, Int32Array.from(golden.t5Ids)),
    stream: encoderStreams.prompt,
  });
  return [
    ['clip.pooled', pooled],
    ['t5.last_hidden', prompt],
  ];
}

function outputOf(
  withModel: WithModel,
  component: Model,
  { batch, stream }: { readonly batch: Batch; readonly stream: string },
): Promise<Float32Array> {
  return withModel(component, async (model) => get(await runChain({ model, batch }), stream));
}

/** Means, or logarithms of variances. */
function channelsOf(
  moments: Float32Array,
  { from, limits: { latentChannels } }: { from: number; limits: DiffusionLimits },
): Float32Array {
  return moments.filter((_, index) => {
    const channel = index % (2 * latentChannels);
    return channel >= from && channel < from + latentChannels;
  });
}

interface MeasuredTransformer {
  readonly noisy: Float32Array;
  readonly prediction: Float32Array;
  readonly lora: Measured['lora'];
  /** For the decoder: (latent pixels, channels). */
  readonly sampled: Float32Array;
}

async function measureTransformer({
  models: { transformer, limits },
  golden,
  withModel,
}: DiffusionMeasurement): Promise<MeasuredTransformer> {
  const { noiseLevel, guidance } = golden.train;
  const mean = pixelsOf(tensorOf(golden, 'vae.mean'));
  const { pixels: noise } = pixelsOf(tensorOf(golden, 'train.noise'));
  const latents = mean.pixels.map((value) => (value - limits.scaling.shift) * limits.scaling.scale);
  const mixed = noise.map((value, i) => noiseLevel * value + (1 - noiseLevel) * at(latents, i));
  const noisy = packLatents(mixed, mean, limits);
  const target = packLatents(
    noise.map((value, i) => value - at(latents, i)),
    mean,
    limits,
  );
  const asked = { latents: noisy, grid: gridOf(mean, limits), noiseLevel, guidance };
  return withModel(transformer, async (model) => {
    const predicting = { ...model, layout: predictionLayout(model.layout) };
    const predict = async (question: Question): Promise<Float32Array> =>
      get(
        await runChain({ model: predicting, batch: batchOf(question, { golden, limits }) }),
        streams.prediction,
      );
    return {
      noisy,
      prediction: await predict(asked),
      lora: await measureLora(model, golden, batchOf({ ...asked, target }, { golden, limits })),
      sampled: await sampled({ golden, limits }, predict),
    };
  });
}

/** Squares of latent pixels. */
function gridOf({ height, width }: Grid, { patch }: Pick<DiffusionLimits, 'patch'>): Grid {
  return { height: height / patch, width: width / patch };
}

interface Question {
  readonly latents: Float32Array;
  readonly grid: Grid;
  readonly noiseLevel: number;
  readonly guidance: number;
  /** Absent: no loss is asked for. */
  readonly target?: Float32Array;
}

interface Facts {
  readonly golden: DiffusionGolden;
  readonly limits: DiffusionLimits;
}

function batchOf(question: Question, { golden, limits }: Facts): Batch {
  const { latents, grid, noiseLevel, guidance, target } = question;
  const { latents: rows, prompt, samples } = diffusionRows;
  const inSamples = [{ promptTokens: golden.t5Ids.length, rows: grid.height, columns: grid.width }];
  const count = grid.height * grid.width;
  const ones = new Float32Array(count).fill(1);
  const values: (readonly [string, string, Float32Array])[] = [
    [streams.latents, rows, latents],
    [streams.prompt, prompt, tensorOf(golden, 't5.last_hidden').values],
    [streams.pooled, samples, tensorOf(golden, 'clip.pooled').values],
    [streams.noiseLevel, samples, noiseFeatures(limits, noiseLevel)],
    ...(limits.hasGuidance
      ? [[streams.guidance, samples, noiseFeatures(limits, guidance)] as const]
      : []),
    ...(target ? [[streams.target, rows, target] as const] : []),
    ...(target ? [[streams.weight, rows, ones] as const] : []),
  ];
  const sizes = diffusionSizes(limits, inSamples);
  return {
    ...diffusionPlaces(limits, inSamples),
    shape: {
      ...sizes,
      values: new Map(
        values.map(([stream, layout, { length }]) => [
          stream,
          {
            rows: layout,
            width: length / (get(sizes.layouts, layout).at(-1) ?? 0),
            dtype: stream === streams.weight ? 'float32' : undefined,
          },
        ]),
      ),
      lossWeight: count,
      items: 1,
    },
    values: new Map(values.map(([stream, , numbers]) => [stream, hostArray(numbers)])),
  };
}

async function measureLora(
  model: PagedModel,
  golden: DiffusionGolden,
  batch: Batch,
): Promise<Measured['lora']> {
  const named = golden.train.lora.gradients;
  const modules = model.layout.linears
    .filter(({ path }) => named.has(path))
    .map((linear) => ({ linear, paths: [linear.path], rows: null }));
  const { device, layout } = model;
  using adapter = DeviceAdapter.load(device, layout, loraOn(modules), { trainable: true });
  const source = { shape: () => batch.shape, load: () => Promise.resolve(batch) };
  return await gradientsOf({ model, adapter, source, rows: [0] });
}

async function sampled(
  { golden, limits }: Facts,
  predict: (question: Question) => Promise<Float32Array>,
): Promise<Float32Array> {
  const { steps, guidance } = golden.sample;
  const size = latentSize(golden, limits);
  const grid = gridOf(size, limits);
  const latents = await sample({
    ...{ schedule: limits.schedule, limits, size, steps, guidance },
    negativeScale: null,
    start: { latents: tensorOf(golden, 'sample.initial_packed_latents').values },
    evaluate: ({ latents: asked, noiseLevel }) =>
      predict({ latents: asked, grid, noiseLevel, guidance }),
  });
  return decoderLatents(unpackLatents(latents, size, limits), limits.scaling);
}

function latentSize(
  { sample: { height, width } }: DiffusionGolden,
  { pixelsPerLatent }: DiffusionLimits,
): Grid {
  return { height: height / pixelsPerLatent, width: width / pixelsPerLatent };
}

function sampleRows(golden: DiffusionGolden, limits: DiffusionLimits): number {
  const { height, width } = gridOf(latentSize(golden, limits), limits);
  return height * width;
}

function hostArray(values: Float32Array): HostArray {
  const { buffer, byteOffset, byteLength } = values;
  return { bytes: new Uint8Array(buffer, byteOffset, byteLength), dtype: 'float32' };
}
