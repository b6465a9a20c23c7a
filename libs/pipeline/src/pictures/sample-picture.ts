import { at, get } from '@emloc/checked';
import { repeatsOn, type Device, type Repeats } from '@emloc/device';
import {
  FinetuneError,
  inferenceOrder,
  runChain,
  type DeviceAdapter,
  type PagedModel,
} from '@emloc/finetune';
import type { ImageSize, RgbImage } from '@emloc/images';
import {
  diffusionStreams,
  encoderStreams,
  latentBatch,
  predictionLayout,
  type DiffusionLimits,
  type Model,
} from '@emloc/models';
import {
  decoderLatents,
  questionBatches,
  sample,
  unpackLatents,
  type EvaluateVelocity,
} from '@emloc/tasks';
import type { LayerSource, Pager } from '@emloc/weight-pager';

import type { MadeStreams } from './made-streams.js';
import type { PictureRequest } from './picture-request.js';
import { latentSize } from './picture-set.js';

export interface SamplingInputs {
  /** The transformer behind its front, ending in its loss; the original, or an emulator of it. */
  readonly model: PagedModel;
  readonly adapter: DeviceAdapter | null;
  readonly limits: DiffusionLimits;
  /** Of the request's captions and conditions. */
  readonly streams: Pick<MadeStreams, 'captions' | 'conditioning'>;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Makes a picture's latents. The pager's schedule is the sampling's afterwards.
 * @returns packed, (rows, columns): equal for equal requests, whatever the budget
 * @throws FinetuneError FINETUNE_NON_FINITE; DiffusionError; those of pagers and devices
 */
export async function sampleLatents(
  request: PictureRequest,
  inputs: SamplingInputs,
): Promise<Float32Array> {
  const { limits, model, onProgress, signal } = inputs;
  const { captions, size, steps, guidance, negativeScale, seed } = request;
  const evaluations = steps * (captions.negative === null ? 1 : 2);
  model.pager.schedule(inferenceOrder(model.layout), evaluations);
  using repeats = repeatsOn(model.device);
  const latents = await sample({
    ...{ schedule: limits.schedule, limits, steps, guidance, negativeScale, onProgress, signal },
    size: latentSize(size, limits),
    start: { seed },
    evaluate: velocities(request, inputs, repeats),
  });
  assertFinite(latents);
  return latents;
}

function velocities(
  { captions }: PictureRequest,
  { model, adapter, limits, streams, signal }: SamplingInputs,
  repeats: Repeats,
): EvaluateVelocity {
  const predicting = { ...model, layout: predictionLayout(model.layout) };
  const { captions: prompts, conditioning } = streams;
  const batchOf = questionBatches({ limits, captions, prompts, conditioning });
  return async (question) => {
    const run = {
      model: predicting,
      batch: await batchOf(question),
      adapter,
      isScheduled: true,
      repeats,
      signal,
    };
    return get(await runChain(run), diffusionStreams.prediction);
  };
}

export interface DecodingInputs {
  readonly device: Device;
  readonly decoder: Model;
  readonly limits: DiffusionLimits;
  openPager(source: LayerSource): Pager;
  readonly signal?: AbortSignal;
}

/** @param latents packed. @throws FinetuneError FINETUNE_NON_FINITE; those of pagers and devices */
export async function decodePicture(
  latents: Float32Array,
  size: ImageSize,
  { device, decoder, limits, openPager, signal }: DecodingInputs,
): Promise<RgbImage> {
  const pixels = unpackLatents(latents, latentSize(size, limits), limits);
  const { buffer, byteOffset, byteLength } = decoderLatents(pixels, limits.scaling);
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  await using pager = openPager(decoder.source);
  const outputs = await runChain({
    model: { device, layout: decoder.layout, pager },
    batch: latentBatch(limits, size, { bytes, dtype: 'float32' }),
    signal,
  });
  const values = get(outputs, encoderStreams.image);
  assertFinite(values);
  return { ...size, rgb: toBytes(values) };
}

/** From -1 to 1, and what is beyond, to 0 to 255. */
function toBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8ClampedArray(values.length);
  // Without a callback, which takes seconds for all numbers of a large picture.
  for (const [index, value] of values.entries()) bytes[index] = 255 * (value / 2 + 0.5);
  return new Uint8Array(bytes.buffer);
}

function assertFinite(values: Float32Array): void {
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return;
  throw new FinetuneError(
    'FINETUNE_NON_FINITE',
    `sampling: number ${index} of ${values.length} of the picture is ${at(values, index)}`,
  );
}
