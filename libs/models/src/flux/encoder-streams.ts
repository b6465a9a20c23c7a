import { at } from '@emloc/checked';
import type { Grid, HostArray } from '@emloc/device';

import type { Batch, BatchShape, ValueShape } from '../batch.js';
import type { DiffusionLimits, PromptLimits } from '../diffusion-limits.js';

/** Row layouts of the text encoders. */
export const encoderRows = Object.freeze({
  /** A row a token; a prompt is a sequence. */
  tokens: 'tokens',
  /** A row a prompt. */
  samples: 'samples',
  /** A row a distance between two tokens. */
  distances: 'distances',
});

/** Streams of the text encoders and of the image encoder and decoder. */
export const encoderStreams = Object.freeze({
  /** Integers, one a token. */
  ids: 'ids',
  positions: 'tokenPositions',
  /** Integers, one a prompt: the token that stands for it. */
  pooledRows: 'pooledRows',
  /** Integers, one a distance: its kind. */
  buckets: 'buckets',
  /** Values (samples, width), that CLIP makes. */
  pooled: 'pooled',
  /** Values (tokens, width), that T5 makes. */
  prompt: 'prompt',
  /** Values (pixels, 3) from -1 to 1, that the image encoder reads and the decoder makes. */
  image: 'image',
  /** Values (latent pixels, 2 · channels), that the encoder makes: means, log-variances. */
  moments: 'moments',
  /** Values (latent pixels, channels), that the decoder reads. */
  latents: 'latents',
});

/** The row layout of images at 1 / 2^level of their sides: a row a pixel, row-major. */
export function pixelRows(level: number): string {
  return `pixels.${level}`;
}

/** How often images are halved on the way to their latents. */
export function pixelLevels({ pixelsPerLatent }: Pick<DiffusionLimits, 'pixelsPerLatent'>): number {
  return Math.log2(pixelsPerLatent);
}

/** One prompt for CLIP. @param ids padded */
export function pooledBatch({ prompts }: Pick<DiffusionLimits, 'prompts'>, ids: Int32Array): Batch {
  const row = pooledRow(prompts.pooled, ids);
  return integerBatch(
    [
      [encoderRows.tokens, [0, ids.length]],
      [encoderRows.samples, [0, 1]],
    ],
    [
      [encoderStreams.ids, ids],
      [encoderStreams.positions, Int32Array.from(ids, (_, position) => position)],
      [encoderStreams.pooledRows, Int32Array.of(row)],
    ],
  );
}

/** The first row of the token that ends a prompt; 0 where there is none. */
export function pooledRow({ end }: PromptLimits['pooled'], ids: Int32Array): number {
  const token = end ?? ids.reduce((largest, id) => Math.max(largest, id), 0);
  return Math.max(0, ids.indexOf(token));
}

/** One prompt for T5. @param ids padded */
export function promptBatch({ prompts }: Pick<DiffusionLimits, 'prompts'>, ids: Int32Array): Batch {
  const { maxDistance } = prompts.rows;
  const distances = 2 * maxDistance + 1;
  return integerBatch(
    [
      [encoderRows.tokens, [0, ids.length]],
      [encoderRows.distances, [0, distances]],
    ],
    [
      [encoderStreams.ids, ids],
      [
        encoderStreams.buckets,
        Int32Array.from({ length: distances }, (_, row) =>
          bucketOf(prompts.rows, row - maxDistance),
        ),
      ],
    ],
  );
}

/**
 * The kind of a distance (key − query), as T5 has it: exact near 0, then by its logarithm. Every
 * step in float32, where some distances are just at a border.
 */
export function bucketOf({ buckets, maxDistance }: PromptLimits['rows'], distance: number): number {
  const each = buckets / 2;
  const base = distance > 0 ? each : 0;
  const length = Math.abs(distance);
  const exact = Math.floor(each / 2);
  if (length < exact) return base + length;
  const logarithm = Math.fround(Math.log(Math.fround(length / exact)));
  const share = Math.fround(logarithm / Math.fround(Math.log(maxDistance / exact)));
  const far = exact + Math.trunc(Math.fround(share * (each - exact)));
  return base + Math.min(each - 1, far);
}

/** An image for the encoder. @param pixels (height · width, 3) */
export function imageBatch(limits: CodecLimits, grid: Grid, pixels: HostArray): Batch {
  return codecBatch(limits, grid, {
    stream: encoderStreams.image,
    shape: { rows: pixelRows(0), width: imageChannels },
    values: pixels,
  });
}

/**
 * Latents for the decoder.
 * @param grid the image's
 * @param latents (latent pixels, channels)
 */
export function latentBatch(limits: CodecLimits, grid: Grid, latents: HostArray): Batch {
  return codecBatch(limits, grid, {
    stream: encoderStreams.latents,
    shape: { rows: pixelRows(pixelLevels(limits)), width: limits.latentChannels },
    values: latents,
  });
}

type CodecLimits = Pick<DiffusionLimits, 'pixelsPerLatent' | 'latentChannels'>;

/** Red, green and blue. */
export const imageChannels = 3;

function codecBatch(
  limits: CodecLimits,
  { height, width }: Grid,
  { stream, shape, values }: CodecInput,
): Batch {
  const levels = Array.from({ length: pixelLevels(limits) + 1 }, (_, level) => ({
    rows: pixelRows(level),
    grid: { height: height / 2 ** level, width: width / 2 ** level },
  }));
  return {
    shape: {
      layouts: new Map(levels.map(({ rows, grid }) => [rows, [0, grid.height * grid.width]])),
      grids: new Map(levels.map(({ rows, grid }) => [rows, [grid]])),
      integers: new Map(),
      values: new Map([[stream, shape]]),
      lossWeight: 1,
      items: 1,
    },
    integers: new Map(),
    values: new Map([[stream, values]]),
  };
}

interface CodecInput {
  readonly stream: string;
  readonly shape: ValueShape;
  readonly values: HostArray;
}

function integerBatch(
  layouts: readonly (readonly [string, readonly number[]])[],
  integers: readonly (readonly [string, Int32Array])[],
): Batch {
  const shape: BatchShape = {
    layouts: new Map(layouts),
    integers: new Map(integers.map(([stream, { length }]) => [stream, length])),
    values: new Map(),
    lossWeight: 1,
    items: at(layouts, 0)[1].at(-1) ?? 0,
  };
  return { shape, integers: new Map(integers), values: new Map() };
}
