import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@emloc/checkpoint';
import type { DeviceAdapter, PagedModel } from '@emloc/finetune';
import { encodePng, type ImageSize, type RgbImage } from '@emloc/images';
import type { DiffusionLimits, Model } from '@emloc/models';
import type { Condition } from '@emloc/tasks';
import {
  minimumDeviceBytes,
  openPager,
  streamingHostBytes,
  type LayerSource,
  type Pager,
} from '@emloc/weight-pager';

import type { MadeStreams } from './made-streams.js';
import { requestConditions, usualGuidance, type PictureRequest } from './picture-request.js';
import { captionsWith, type PictureSet, type PromptReader } from './picture-set.js';
import { decodePicture, sampleLatents } from './sample-picture.js';

/** What pictures are made of while a model learns. */
export interface SampleOptions {
  readonly prompts: readonly string[];
  readonly size: ImageSize;
  readonly steps: number;
  readonly seed: number;
}

/** Requests whose captions a set has. */
export interface SampleRequests {
  readonly set: PictureSet;
  readonly requests: readonly PictureRequest[];
  /** What the front makes for them, beside what training wants of it. */
  readonly conditions: readonly Condition[];
}

/** Adds the samples' prompts to the captions of a set, behind those that are there. */
export function sampleRequests(
  given: PictureSet,
  reader: PromptReader,
  { prompts, size, steps, seed }: SampleOptions,
): SampleRequests {
  const { set, numbers } = captionsWith(given, reader, prompts);
  const requests = numbers.map((positive) => ({
    ...{ captions: { positive, negative: null }, negativeScale: null, size, steps, seed },
    guidance: set.limits.hasGuidance ? usualGuidance : null,
  }));
  const conditions = requests.flatMap((request) => requestConditions(request, set.limits));
  return { set, requests, conditions };
}

/** Where samples are, in a job's folder and in its output. */
export const samplesFolder = 'samples';

/** Files of samples in a job's folder, of all its runs, by name; none where there are none. */
export async function samplesIn(jobFolder: string): Promise<readonly string[]> {
  const folder = join(jobFolder, samplesFolder);
  const names = await readdir(folder).catch(() => [] as string[]);
  return names
    .filter((name) => name.endsWith('.png'))
    .sort()
    .map((name) => join(folder, name));
}

/** When a sample was made: before training, after so many steps, or with the result. */
export type SampleMoment = number | 'final';

export interface TrainingSamplesOptions {
  readonly requests: readonly PictureRequest[];
  readonly limits: DiffusionLimits;
  readonly decoder: Model;
  /** Of the requests' captions and conditions. */
  readonly streams: Pick<MadeStreams, 'captions' | 'conditioning'>;
  /** Where PNG files are written; it is made. null: on a null device, nowhere. */
  readonly folder: string | null;
  readonly hostBytes: number;
  readonly onSample?: (path: string) => void;
  /** See JobEnvironment. */
  readonly onTimes?: (times: number) => void;
  readonly signal?: AbortSignal;
}

export interface SampledModel {
  /** The transformer behind its front, with its loss: the original, or the emulator. */
  readonly model: PagedModel;
  readonly adapter: DeviceAdapter | null;
}

/**
 * Makes pictures of a model while it is on the device, through the pager that it has there, whose
 * schedule is the sampling's afterwards. What is beside it, the decoder's weights included, is no
 * weight in the budget's books: a rehearsal that leaves weights out counts it.
 */
export class TrainingSamples {
  constructor(private readonly options: TrainingSamplesOptions) {}

  /**
   * One picture a request; all have the seed, so that they differ from those of other moments by
   * the model alone. On a null device one picture of two steps stands for all, which takes the same
   * memory.
   * @returns paths of the files, one a request; none where nothing is written
   */
  async make(moment: SampleMoment, sampled: SampledModel): Promise<readonly string[]> {
    const { requests, folder } = this.options;
    if (folder === null) {
      await this.#rehearse(sampled);
      return [];
    }
    await mkdir(folder, { recursive: true });
    const paths: string[] = [];
    for (const [index, request] of requests.entries()) {
      const path = join(folder, sampleFile(moment, index));
      await writeFileAtomic(path, await this.#encoded(request, sampled));
      this.options.onSample?.(path);
      paths.push(path);
    }
    return paths;
  }

  /** All requests have as many steps: the first reads the weights, which the others may find. */
  async #rehearse(sampled: SampledModel): Promise<void> {
    const { requests, onTimes } = this.options;
    const [request] = requests;
    if (!request) return;
    onTimes?.(1);
    const all = requests.reduce((sum, { steps }) => sum + steps, 0);
    const latents = await this.#latents({ ...request, steps: Math.min(2, all) }, sampled, (done) =>
      onTimes?.(done === 1 ? 1 : all - 1),
    );
    await this.#decoded(request, latents, sampled);
    onTimes?.(requests.length);
  }

  async #encoded(request: PictureRequest, sampled: SampledModel): Promise<Uint8Array> {
    const latents = await this.#latents(request, sampled);
    return encodePng(await this.#decoded(request, latents, sampled));
  }

  #latents(
    request: PictureRequest,
    { model, adapter }: SampledModel,
    onProgress?: (done: number) => void,
  ): Promise<Float32Array> {
    const { limits, streams, signal } = this.options;
    return sampleLatents(request, { model, adapter, limits, streams, onProgress, signal });
  }

  #decoded(
    request: PictureRequest,
    latents: Float32Array,
    { model: { device } }: SampledModel,
  ): Promise<RgbImage> {
    const { limits, decoder, hostBytes, folder, signal } = this.options;
    return decodePicture(latents, request.size, {
      ...{ device, decoder, limits, signal },
      openPager: (source): Pager => leastPager(source, { device, hostBytes, signal, folder }),
    });
  }
}

/** Name of a sample's file, so that names sort by step. */
export function sampleFile(moment: SampleMoment, index: number): string {
  const when = moment === 'final' ? moment : `step-${String(moment).padStart(6, '0')}`;
  return `${when}-${index}.png`;
}

function leastPager(
  source: LayerSource,
  {
    device,
    hostBytes,
    signal,
    folder,
  }: Pick<TrainingSamplesOptions, 'hostBytes' | 'signal' | 'folder'> & Pick<PagedModel, 'device'>,
): Pager {
  return openPager({
    ...{ device, source, signal, category: 'activations' },
    deviceBytes: minimumDeviceBytes(source, device),
    hostBytes: streamingHostBytes(source, hostBytes),
    reads: folder === null ? 'none' : 'real',
  });
}
