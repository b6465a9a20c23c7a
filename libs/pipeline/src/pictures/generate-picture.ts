import { writeFileAtomic } from '@emloc/checkpoint';
import { Device, MemoryBudget, type DeviceProfile, type DeviceTarget } from '@emloc/device';
import { encodePng, type RgbImage } from '@emloc/images';
import type { PagerObserver } from '@emloc/weight-pager';

import { assertOptionsOf } from '../options/modality.js';
import type { GenerateOptions } from '../options/resolve.js';
import { makeStreams, plannedStreams, type Making, type Wanted } from './made-streams.js';
import { rehearseTransformer, withTransformer } from './paged-transformer.js';
import { pictureFile, requestOf } from './picture-inputs.js';
import {
  pictureMemory,
  rehearsedBytes,
  transformerNeeds,
  type PictureMemory,
  type PictureNeeds,
} from './picture-memory.js';
import { openPictureModel, type PictureModel } from './picture-model.js';
import { requestConditions, shortest, type PictureRequest } from './picture-request.js';
import { openPromptReader } from './picture-set.js';
import { decodePicture, sampleLatents } from './sample-picture.js';
import { passingPager, temporaryStreams } from './temporary-streams.js';

/** A picture, as `generate` tells of it. */
export interface PictureReport {
  /** Of the PNG file. */
  readonly path: string;
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly seed: number;
  /** From the first prompt to the pixels. */
  readonly seconds: number;
  /** Of sampling alone. */
  readonly secondsPerStep: number;
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
}

export interface PictureHost {
  readonly target: DeviceTarget;
  readonly onProgress?: (task: string, done: number, total: number) => void;
  /** Told what the user should know. */
  readonly onNotice?: (message: string) => void;
  readonly pagerObserver?: PagerObserver;
  readonly signal?: AbortSignal;
}

interface Ordered {
  readonly options: GenerateOptions;
  readonly opened: PictureModel;
  readonly making: Making;
  readonly request: PictureRequest;
}

/**
 * Makes a picture of a prompt, with an adapter or without, within a budget, and writes it as a PNG
 * file in place of one that is there. Equal seeds give equal bytes, whatever the budget.
 * @throws PipelineError PIPELINE_INVALID_OPTION, PIPELINE_DOES_NOT_FIT; those of models, adapters,
 * tokenizers and devices
 */
export async function generatePicture(
  options: GenerateOptions,
  host: PictureHost,
): Promise<PictureReport> {
  assertOptionsOf('generate', options, 'pictures');
  const path = await pictureFile(options.imageOut);
  await using opened = await openPictureModel(options, host);
  const ordered = await order(options, opened, host);
  const { profile } = host.target;
  const memory = pictureMemory(await needsOf(ordered, profile), options.vramBytes);
  const { image, ...measured } = await make(ordered, memory, host);
  await writeFileAtomic(path, await encodePng(image), { signal: host.signal });
  const { size, steps, seed } = ordered.request;
  return { path, ...size, steps, seed, ...measured };
}

async function order(
  options: GenerateOptions,
  opened: PictureModel,
  { onNotice }: PictureHost,
): Promise<Ordered> {
  const { diffusion, frontBlocks } = opened;
  const reader = await openPromptReader(diffusion);
  const { limits } = reader;
  const request = requestOf(options, limits);
  const { prompt, negativePrompt } = options;
  const texts = negativePrompt === null ? [prompt] : [prompt, negativePrompt];
  const captions = texts.map((text) => reader.read(text));
  if (captions.some(({ isCut }) => isCut))
    onNotice?.(
      `warning: a prompt is cut to the ${limits.promptTokens} tokens that the model reads`,
    );
  const set = { limits, captions, rows: [], pictures: [] };
  return { options, opened, request, making: { diffusion, set, frontBlocks } };
}

function wantedBy({ making: { set }, request }: Ordered): Wanted {
  return {
    captions: [...set.captions.keys()],
    pictures: [],
    conditions: requestConditions(request, set.limits),
  };
}

async function needsOf(ordered: Ordered, profile: DeviceProfile): Promise<PictureNeeds> {
  const { opened, making, request } = ordered;
  const { limits } = making.set;
  const { size } = request;
  const { captions, conditions, pictures } = wantedBy(ordered);
  const one = { captions: captions.slice(0, 1), conditions: conditions.slice(0, 1), pictures };
  const streams = plannedStreams(making, profile.computeDType);
  const latents = new Float32Array(
    ((size.height * size.width) / limits.pixelsPerLatent ** 2) * limits.latentChannels,
  );
  return {
    what: `a picture of ${size.width} x ${size.height}`,
    encoderBytes: await rehearsedBytes(profile, (rehearsal) =>
      makeStreams(making, one, { ...rehearsal, access: null }),
    ),
    transformer: await transformerNeeds(opened.model.source, profile, (rehearsal) =>
      rehearseTransformer(opened, rehearsal, (model, adapter) =>
        sampleLatents(shortest(request), { model, adapter, limits, streams }),
      ),
    ),
    decoderBytes: await rehearsedBytes(profile, (rehearsal) =>
      decodePicture(latents, size, { ...rehearsal, limits, decoder: opened.diffusion.vaeDecoder }),
    ),
  };
}

interface MadePicture extends Pick<
  PictureReport,
  'seconds' | 'secondsPerStep' | 'budgetBytes' | 'peakDeviceBytes'
> {
  readonly image: RgbImage;
}

async function make(
  ordered: Ordered,
  { budgetBytes, pagerBytes }: PictureMemory,
  host: PictureHost,
): Promise<MadePicture> {
  const { opened, making, request, options } = ordered;
  const { limits } = making.set;
  const { hostBytes, prefetch } = options;
  const { target, onProgress, signal } = host;
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await target.open(budgetBytes), budget);
  const passing = { device, hostBytes, prefetch, onProgress, signal };
  const started = performance.now();
  await using streams = await temporaryStreams(making, wantedBy(ordered), passing);
  const paging = { ...host, device, pagerBytes, hostBytes, prefetch };
  const sampled = await withTransformer(opened, paging, async (model, adapter) => {
    const first = performance.now();
    const latents = await sampleLatents(request, {
      ...{ model, adapter, limits, streams, signal },
      onProgress: (done, total) => onProgress?.('sampling', done, total),
    });
    return { latents, seconds: secondsSince(first) };
  });
  const image = await decodePicture(sampled.latents, request.size, {
    ...{ device, limits, decoder: opened.diffusion.vaeDecoder, signal },
    openPager: (source) => passingPager(source, passing),
  });
  return {
    image,
    seconds: secondsSince(started),
    secondsPerStep: sampled.seconds / request.steps,
    budgetBytes,
    peakDeviceBytes: budget.peakBytes,
  };
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
