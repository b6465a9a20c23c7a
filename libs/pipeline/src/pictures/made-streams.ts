import { join } from 'node:path';
import { at } from '@emloc/checked';
import { bytesPerElement, type Device, type HostDType } from '@emloc/device';
import { frontPasses, frontStreams, runFront, type FrontStore } from '@emloc/finetune';
import {
  encoderStreams,
  pagesSource,
  type DiffusionModel,
  type Model,
  type RowSource,
  type ValueShape,
} from '@emloc/models';
import {
  blankStreams,
  ConditionRows,
  ConditionSet,
  givenConditioning,
  keptConditioning,
  type Condition,
  type Conditioning,
  type KeptStreams,
} from '@emloc/tasks';
import type { LayerSource, Pager } from '@emloc/weight-pager';

import { StreamStore } from '../disk/stream-store.js';
import type { ImageAccess } from '../job/environment.js';
import { pixelRows, pooledRows, promptRows } from './encoder-rows.js';
import type { PictureSet } from './picture-set.js';
import { rehearseRows } from './rehearse-rows.js';

/** What is made of captions, pictures and noise levels before the transformer runs. */
export interface MadeStreams {
  /** By the caption's number: what both text encoders make. */
  readonly captions: KeptStreams;
  /** By the picture's number. */
  readonly moments: KeptStreams;
  readonly conditioning: Conditioning;
}

/** Captions, pictures and conditions by number, whose streams are wanted. */
export interface Wanted {
  readonly captions: readonly number[];
  readonly pictures: readonly number[];
  readonly conditions: readonly Condition[];
  /** Of a rehearsal: how many there are in all. Default: as many as are named. */
  readonly conditionCount?: number;
}

/** A model, its pictures, and how much of the transformer runs once a condition. */
export interface Making {
  readonly diffusion: DiffusionModel;
  readonly set: PictureSet;
  readonly frontBlocks: number;
}

export interface MakingHost {
  readonly device: Device;
  /** null: on a null device, where nothing is read or kept. */
  readonly access: ImageAccess | null;
  openPager(source: LayerSource): Pager;
  readonly onProgress?: (task: string, done: number, total: number) => void;
  /** See JobEnvironment. */
  readonly onTimes?: (times: number) => void;
  readonly signal?: AbortSignal;
}

type DType = 'float32' | 'bfloat16';

/** The compute dtypes that devices have. */
function streamDType(dtype: HostDType): DType {
  if (dtype === 'float32' || dtype === 'bfloat16') return dtype;
  throw new Error(`streams of ${dtype} cannot be kept`);
}

/** Models that run before the transformer, one after another, and its own first pages. */
export function madeSources({ diffusion, frontBlocks }: Making): readonly LayerSource[] {
  const { clip, t5, vaeEncoder, transformer } = diffusion;
  const sources = [clip.source, t5.source, vaeEncoder.source];
  return frontBlocks === 0 ? sources : [...sources, frontPages(transformer, frontBlocks)];
}

function frontPages({ layout, source }: Model, blocks: number): LayerSource {
  const pages = [...new Set(layout.blocks.slice(0, blocks).map(({ page }) => page))];
  return pagesSource(source, pages);
}

/** Streams of which nothing but the sizes is known. */
export function plannedStreams(making: Making, dtype: HostDType): MadeStreams {
  const kept = blankStreams((row, stream) => elementsOf(making, row, stream), streamDType(dtype));
  return { captions: kept, moments: kept, conditioning: conditioningOf(making, kept) };
}

function conditioningOf(making: Making, captions: KeptStreams): Conditioning {
  const { frontBlocks, set, diffusion } = making;
  if (frontBlocks === 0) return givenConditioning(set.limits, captions);
  const streams = frontStreams(diffusion.transformer.layout, frontBlocks);
  return { streams, read: (conditions, stream) => blankConditions(conditions.length, stream) };

  function blankConditions(count: number, stream: string) {
    const { width } = valueOf(streams, stream);
    const bytes = new Uint8Array(count * width * bytesPerElement.float32);
    return Promise.resolve({ bytes, dtype: 'float32' } as const);
  }
}

function valueOf(streams: ReadonlyMap<string, ValueShape>, stream: string): ValueShape {
  const value = streams.get(stream);
  if (!value) throw new RangeError(`the front makes no ${stream}`);
  return value;
}

/** Numbers that a caption or a picture has of a stream. */
function elementsOf({ set: { limits, pictures } }: Making, row: number, stream: string): number {
  if (stream === encoderStreams.pooled) return limits.pooledWidth;
  if (stream === encoderStreams.prompt) return limits.promptTokens * limits.promptWidth;
  const { height, width } = at(pictures, row).size;
  return height * width * 2 * limits.latentChannels;
}

/** Bytes of each file of what is kept of these. */
export function keptFiles(making: Making, wanted: Wanted, dtype: HostDType): readonly number[] {
  const { pooled, prompt, moments } = encoderStreams;
  const { count } = new ConditionSet(wanted.conditions);
  const width = conditionWidth(making);
  const elements = [
    ...wanted.captions.flatMap((row) => [pooled, prompt].map((of) => elementsOf(making, row, of))),
    ...wanted.pictures.map((row) => elementsOf(making, row, moments)),
    ...Array.from({ length: width > 0 ? count : 0 }, () => width),
  ];
  return elements.map((each) => each * bytesPerElement[dtype]);
}

function conditionWidth({ diffusion, frontBlocks }: Making): number {
  if (frontBlocks === 0) return 0;
  const streams = frontStreams(diffusion.transformer.layout, frontBlocks);
  return [...streams.values()].reduce((sum, { width }) => sum + width, 0);
}

/** Makes what is not there yet, each encoder alone on the device. */
export async function makeStreams(
  making: Making,
  wanted: Wanted,
  host: MakingHost,
): Promise<MadeStreams> {
  const maker = new StreamMaker(making, host);
  const captions = await maker.captions(wanted.captions);
  const moments = await maker.moments(wanted.pictures);
  const conditioning = await maker.conditioning(wanted, captions);
  return { captions, moments, conditioning };
}

/** What an encoder makes of rows. */
interface Encoding {
  readonly task: string;
  readonly model: Model;
  /** Blocks that run; default: all. */
  readonly blocks?: number;
  readonly pages?: LayerSource;
  readonly source: RowSource;
  readonly rows: readonly number[];
  /** How many there are like these. Default: these. */
  readonly count?: number;
  readonly keyOf: (row: number) => string | Promise<string>;
  readonly elements: (row: number) => ReadonlyMap<string, number>;
}

class StreamMaker {
  constructor(
    private readonly making: Making,
    private readonly host: MakingHost,
  ) {}

  async captions(rows: readonly number[]): Promise<KeptStreams> {
    const { set, diffusion } = this.making;
    const of = (stream: string) => (row: number) =>
      new Map([[stream, elementsOf(this.making, row, stream)]]);
    const { pooled, prompt } = encoderStreams;
    const text = (row: number): string => at(set.captions, row).text;
    const clip = await this.#encode({
      ...{ task: 'captions', model: diffusion.clip, source: pooledRows(set), rows },
      ...{ keyOf: (row) => JSON.stringify([pooled, text(row)]), elements: of(pooled) },
    });
    const t5 = await this.#encode({
      ...{ task: 'prompts', model: diffusion.t5, source: promptRows(set), rows },
      keyOf: (row) => JSON.stringify([prompt, text(row), set.limits.promptTokens]),
      elements: of(prompt),
    });
    return { read: (row, stream) => (stream === prompt ? t5 : clip).read(row, stream) };
  }

  moments(rows: readonly number[]): Promise<KeptStreams> {
    const { set, diffusion } = this.making;
    const { access, signal } = this.host;
    const { moments } = encoderStreams;
    return this.#encode({
      ...{ task: 'images', model: diffusion.vaeEncoder, rows },
      source: pixelRows(set, { reader: access?.reader ?? null, signal }),
      keyOf: async (row) => {
        const { sha256, plan } = at(set.rows, row);
        await access?.onImage?.(row, sha256);
        return JSON.stringify([moments, sha256, plan]);
      },
      elements: (row) => new Map([[moments, elementsOf(this.making, row, moments)]]),
    });
  }

  async conditioning(
    { conditions, conditionCount: count }: Pick<Wanted, 'conditions' | 'conditionCount'>,
    captions: KeptStreams,
  ): Promise<Conditioning> {
    const { set, diffusion, frontBlocks } = this.making;
    const given = givenConditioning(set.limits, captions);
    if (frontBlocks === 0) return given;
    const all = new ConditionSet(conditions);
    const { transformer } = diffusion;
    const streams = frontStreams(transformer.layout, frontBlocks);
    const widths = new Map([...streams].map(([stream, { width }]) => [stream, width]));
    const kept = await this.#encode({
      ...{ task: 'noise levels', model: transformer, blocks: frontBlocks },
      ...{ pages: frontPages(transformer, frontBlocks), source: new ConditionRows(all, given) },
      rows: Array.from({ length: all.count }, (_, row) => row),
      count,
      keyOf: (row) => {
        const { noiseLevel, guidance, caption } = at(all.of([row]), 0);
        return JSON.stringify([frontBlocks, noiseLevel, guidance, at(set.captions, caption).text]);
      },
      elements: () => widths,
    });
    return keptConditioning(all, streams, kept);
  }

  async #encode(encoding: Encoding): Promise<KeptStreams> {
    const { rows } = encoding;
    const { computeDType: dtype } = this.host.device.profile;
    const { access } = this.host;
    if (!access) {
      await this.#rehearse(encoding);
      return blankStreams(
        (row, stream) => encoding.elements(row).get(stream) ?? 0,
        streamDType(dtype),
      );
    }
    const store = new StreamStore({
      ...{ folder: join(access.folder, 'streams'), keyOf: encoding.keyOf, dtype },
      bytesOf: (row) =>
        new Map(
          [...encoding.elements(row)].map(([stream, count]) => [
            stream,
            count * bytesPerElement[dtype],
          ]),
        ),
    });
    const missing = await store.missing(rows);
    await this.#run(encoding, missing, store);
    return store;
  }

  async #rehearse(encoding: Encoding): Promise<void> {
    const { model, blocks = model.layout.blocks.length, source } = encoding;
    const { device, onTimes } = this.host;
    await rehearseRows(encoding, {
      passes: (rows) =>
        frontPasses({ model: { device, layout: model.layout }, blocks, source }, rows),
      run: (rows) => this.#run(encoding, rows, { put: () => Promise.resolve() }),
      onTimes: (times) => onTimes?.(times),
    });
  }

  async #run(
    { task, model, blocks, pages, source }: Encoding,
    rows: readonly number[],
    store: FrontStore,
  ): Promise<void> {
    if (rows.length === 0) return;
    const { device, onProgress, signal } = this.host;
    await using pager = this.host.openPager(pages ?? model.source);
    await runFront({
      model: { device, layout: model.layout, pager },
      blocks: blocks ?? model.layout.blocks.length,
      ...{ source, rows, store, signal },
      onProgress: (done, total) => onProgress?.(task, done, total),
    });
  }
}
