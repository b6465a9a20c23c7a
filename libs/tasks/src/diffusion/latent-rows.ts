import { get } from '@emloc/checked';
import type { HostArray } from '@emloc/device';
import {
  diffusionPlaces,
  diffusionRows,
  diffusionSizes,
  diffusionStreams,
  encoderStreams,
  type Batch,
  type BatchShape,
  type DiffusionLimits,
  type DiffusionSample,
  type ValueShape,
} from '@emloc/models';

import type { Scoring, TaskRows } from '../task-rows.js';
import { conditionValues, type Conditioning } from './conditions.js';
import { evaluateDraws, type DrawEvaluation } from './diffusion-score.js';
import { float32Array, readStreams, type KeptStreams } from './kept-streams.js';
import { latentRows } from './latents.js';
import type { Sample, SampleSource } from './sample-row.js';

/** Packed latents of a sample: (rows, columns) each. */
export interface LatentContent {
  readonly latents: Float32Array;
  /** null: there is no loss. */
  readonly target: Float32Array | null;
}

/** Samples by number, made when they are asked for; a list is one. */
export interface Samples {
  readonly length: number;
  at(number: number): Sample | undefined;
}

export interface LatentRowsOptions {
  readonly limits: DiffusionLimits;
  readonly samples: Samples;
  /** Whether the chain ends in its loss, and reads what that compares. */
  readonly hasTarget: boolean;
  /** Makes the latents of a sample, by its number. */
  readonly content: (sample: number) => Promise<LatentContent>;
  /** What the text encoder made of captions, by their numbers. */
  readonly prompts: KeptStreams;
  readonly conditioning: Conditioning;
}

/** Sizes of this many mixtures keep their rotary tables. */
const keptPlaces = 8;

/** Samples of latents as rows of a transformer; those of a batch may have several sizes. */
export class LatentRows implements TaskRows, SampleSource {
  readonly #places = new Map<string, ReturnType<typeof diffusionPlaces>>();

  constructor(private readonly options: LatentRowsOptions) {}

  get count(): number {
    return this.options.samples.length;
  }

  get items(): number {
    return this.count;
  }

  evaluate(
    batches: readonly (readonly number[])[],
    scoring: Scoring,
  ): Promise<readonly DrawEvaluation[]> {
    return evaluateDraws({ ...scoring, batches: { source: this, rows: batches } });
  }

  samples(rows: readonly number[]): readonly Sample[] {
    return rows.map((row) => {
      const sample = this.options.samples.at(row);
      if (sample && row >= 0) return sample;
      throw new RangeError(`sample ${row} of ${this.count}`);
    });
  }

  shape(rows: readonly number[]): BatchShape {
    const { limits, conditioning } = this.options;
    const samples = this.samples(rows);
    const counted = samples.filter(({ isCounted }) => isCounted);
    return {
      ...diffusionSizes(limits, this.#sizes(samples)),
      values: new Map([...this.#values(), ...conditioning.streams]),
      lossWeight: counted.reduce((sum, { size }) => sum + latentRows(size, limits), 0),
      items: samples.length,
    };
  }

  async load(
    rows: readonly number[],
    isWanted: (stream: string) => boolean = () => true,
  ): Promise<Batch> {
    const samples = this.samples(rows);
    const conditions = samples.map(({ condition }) => condition);
    const values = await conditionValues(this.options.conditioning, conditions, isWanted);
    const streams = [...this.#values().keys()].filter(isWanted);
    for (const [stream, value] of await this.#read(streams, rows)) values.set(stream, value);
    return { shape: this.shape(rows), ...this.#placesOf(samples), values };
  }

  #values(): ReadonlyMap<string, ValueShape> {
    const { limits, hasTarget } = this.options;
    const value = { rows: diffusionRows.latents, width: limits.latentChannels * limits.patch ** 2 };
    const { latents, target, weight, prompt } = diffusionStreams;
    return new Map<string, ValueShape>([
      [latents, value],
      ...(hasTarget
        ? [
            [target, value] as const,
            [weight, { rows: diffusionRows.latents, width: 1, dtype: 'float32' }] as const,
          ]
        : []),
      [prompt, { rows: diffusionRows.prompt, width: limits.promptWidth }],
    ]);
  }

  async #read(
    streams: readonly string[],
    rows: readonly number[],
  ): Promise<Map<string, HostArray>> {
    const { latents, target, weight, prompt } = diffusionStreams;
    const samples = this.samples(rows);
    const values = new Map<string, HostArray>();
    if (streams.includes(latents) || streams.includes(target)) {
      const contents: LatentContent[] = [];
      for (const row of rows) contents.push(await this.options.content(row));
      values.set(latents, float32Array(contents.map((content) => content.latents)));
      values.set(target, float32Array(contents.flatMap((content) => content.target ?? [])));
    }
    if (streams.includes(weight))
      values.set(weight, float32Array(samples.map((each) => this.#weights(each))));
    if (streams.includes(prompt)) {
      const captions = samples.map(({ condition }) => condition.caption);
      values.set(prompt, await readStreams(this.options.prompts, encoderStreams.prompt, captions));
    }
    return new Map(streams.map((stream) => [stream, get(values, stream)]));
  }

  #weights({ size, weight }: Sample): Float32Array {
    return new Float32Array(latentRows(size, this.options.limits)).fill(weight);
  }

  #sizes(samples: readonly Sample[]): DiffusionSample[] {
    const { promptTokens, patch } = this.options.limits;
    return samples.map(({ size: { height, width } }) => ({
      promptTokens,
      rows: height / patch,
      columns: width / patch,
    }));
  }

  #placesOf(samples: readonly Sample[]): ReturnType<typeof diffusionPlaces> {
    const sizes = this.#sizes(samples);
    const key = sizes.map(({ rows, columns }) => `${rows}x${columns}`).join();
    const known = this.#places.get(key);
    if (known) return known;
    const places = diffusionPlaces(this.options.limits, sizes);
    for (const old of this.#places.keys()) {
      if (this.#places.size < keptPlaces) break;
      this.#places.delete(old);
    }
    this.#places.set(key, places);
    return places;
  }
}
