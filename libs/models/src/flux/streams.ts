import { at } from '@emloc/checked';

import type { BatchShape, RowAngles, ValueShape } from '../batch.js';
import type { DiffusionLimits } from '../diffusion-limits.js';

/** Row layouts of the transformer. In each, a sample is a sequence. */
export const diffusionRows = Object.freeze({
  /** A row a square of latent pixels, row-major. */
  latents: 'latents',
  /** A row a token of a prompt. */
  prompt: 'prompt',
  /** A sample's prompt, then its latents. */
  joint: 'joint',
  /** A row a sample. */
  samples: 'samples',
});

/** Streams that a batch of the transformer brings. */
export const diffusionStreams = Object.freeze({
  /** Values (latents, channels · patch²): the noisy latent; see `packedColumn`. */
  latents: 'latents',
  /** Values, the same shape: noise − latent. */
  target: 'target',
  /** Values (latents, 1), float32: factors on the rows' losses. */
  weight: 'weight',
  /** Values (prompt, promptWidth). */
  prompt: 'prompt',
  /** Values (samples, pooledWidth). */
  pooled: 'pooled',
  /** Values (samples, featureWidth): `noiseFeatures` of noise level and guidance. */
  noiseLevel: 'noiseLevel',
  guidance: 'guidance',
  /** Integers, a number a row of `prompt` and of `latents`: its row in `joint`. */
  promptRows: 'promptRows',
  latentRows: 'latentRows',
  /** Rotary table (joint, Σ ropeAxes / 2). */
  rope: 'rope',
  /** What a chain without its loss gives: (latents, channels · patch²), the velocity. */
  prediction: 'prediction',
});

/**
 * Values (samples, width): what a block scales, shifts and gates by; the front makes them and
 * batches may bring them. Blocks are counted through both kinds, the norm before the output last.
 */
export function modulationStream(block: number): string {
  return `modulation.${block}`;
}

/** A sample's sizes. */
export interface DiffusionSample {
  readonly promptTokens: number;
  /** Squares of latent pixels: (pixels / pixelsPerLatent / patch) of each side. */
  readonly rows: number;
  readonly columns: number;
}

/** Layouts, and the sizes of everything else that depends on the samples' sizes alone. */
export interface DiffusionSizes {
  readonly layouts: BatchShape['layouts'];
  readonly integers: BatchShape['integers'];
  readonly ropes: ReadonlyMap<string, ValueShape>;
}

export function diffusionSizes(
  { ropeAxes }: Pick<DiffusionLimits, 'ropeAxes'>,
  samples: readonly DiffusionSample[],
): DiffusionSizes {
  const { latents, prompt, joint, samples: each } = diffusionRows;
  const latentOffsets = offsets(samples.map(({ rows, columns }) => rows * columns));
  const promptOffsets = offsets(samples.map(({ promptTokens }) => promptTokens));
  const both = promptOffsets.map((offset, index) => offset + at(latentOffsets, index));
  return {
    layouts: new Map([
      [latents, latentOffsets],
      [prompt, promptOffsets],
      [joint, both],
      [each, offsets(samples.map(() => 1))],
    ]),
    integers: new Map([
      [diffusionStreams.promptRows, at(promptOffsets, samples.length)],
      [diffusionStreams.latentRows, at(latentOffsets, samples.length)],
    ]),
    ropes: new Map([[diffusionStreams.rope, { rows: joint, width: halfWidth(ropeAxes) }]]),
  };
}

/** Where the rows of `joint` come from, and the angles that they turn by. */
export interface DiffusionPlaces {
  readonly integers: ReadonlyMap<string, Int32Array>;
  readonly ropes: ReadonlyMap<string, RowAngles>;
}

export function diffusionPlaces(
  limits: Pick<DiffusionLimits, 'ropeAxes'>,
  samples: readonly DiffusionSample[],
): DiffusionPlaces {
  const promptRows: number[] = [];
  const latentRows: number[] = [];
  const positions: (readonly number[])[] = [];
  for (const { promptTokens, rows, columns } of samples) {
    for (let token = 0; token < promptTokens; token += 1) {
      promptRows.push(positions.length);
      positions.push([0, 0, 0]);
    }
    for (let patch = 0; patch < rows * columns; patch += 1) {
      latentRows.push(positions.length);
      positions.push([0, Math.floor(patch / columns), patch % columns]);
    }
  }
  return {
    integers: new Map([
      [diffusionStreams.promptRows, Int32Array.from(promptRows)],
      [diffusionStreams.latentRows, Int32Array.from(latentRows)],
    ]),
    ropes: new Map([[diffusionStreams.rope, anglesOf(limits, positions)]]),
  };
}

const ropeBase = 10_000;

/** Each axis turns its own part of a head; in float64, rounded to float32 at the end. */
function anglesOf(
  { ropeAxes }: Pick<DiffusionLimits, 'ropeAxes'>,
  positions: readonly (readonly number[])[],
): RowAngles {
  const width = halfWidth(ropeAxes);
  const cos = new Float32Array(positions.length * width);
  const sin = new Float32Array(positions.length * width);
  const frequencies = ropeAxes.flatMap((axis, index) =>
    Array.from({ length: axis / 2 }, (_, pair) => ({
      axis: index,
      frequency: 1 / ropeBase ** ((2 * pair) / axis),
    })),
  );
  for (const [row, position] of positions.entries()) {
    for (const [column, { axis, frequency }] of frequencies.entries()) {
      const angle = (position[axis] ?? 0) * frequency;
      cos[row * width + column] = Math.cos(angle);
      sin[row * width + column] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/** In float32, as it is multiplied with. */
const logLargestPeriod = Math.fround(Math.log(10_000));
/** A noise level of 1 and a guidance of 1 are this in the features' units. */
const featureUnit = 1000;

/**
 * The features of a noise level or a guidance scale: cosines, then sines of 1000 · value ·
 * 10000^(−j / half). Every step in float32, as the published models were trained.
 */
export function noiseFeatures(
  { featureWidth }: Pick<DiffusionLimits, 'featureWidth'>,
  value: number,
): Float32Array {
  const half = featureWidth / 2;
  const features = new Float32Array(featureWidth);
  const scaled = Math.fround(Math.fround(value) * featureUnit);
  for (let j = 0; j < half; j += 1) {
    const exponent = Math.fround(Math.fround(-logLargestPeriod * j) / half);
    const angle = Math.fround(scaled * Math.fround(Math.exp(exponent)));
    features[j] = Math.cos(angle);
    features[half + j] = Math.sin(angle);
  }
  return features;
}

/** The column of a packed row that has a channel of the latent pixel (dy, dx) of its square. */
export function packedColumn(
  { patch }: Pick<DiffusionLimits, 'patch'>,
  { channel, dy, dx }: { readonly channel: number; readonly dy: number; readonly dx: number },
): number {
  return (channel * patch + dy) * patch + dx;
}

function halfWidth(axes: readonly number[]): number {
  return axes.reduce((sum, axis) => sum + axis, 0) / 2;
}

function offsets(lengths: readonly number[]): number[] {
  const all = [0];
  for (const length of lengths) all.push(at(all, all.length - 1) + length);
  return all;
}
