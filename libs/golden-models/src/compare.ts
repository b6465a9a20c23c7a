import { at } from '@emloc/checked';

import type { Golden, GoldenGradient, GoldenSequence } from './golden.js';

/** What a program computes with a golden's model. */
export interface Measured {
  /** One a sequence of the golden. */
  readonly sequences: readonly MeasuredSequence[];
  readonly lora: {
    readonly loss: number;
    readonly gradients: ReadonlyMap<string, MeasuredGradients>;
  };
  /** What tower and projector make of the tiles: (tiles · rows a tile, width). */
  readonly imageFeatures: Float32Array | undefined;
}

interface MeasuredSequence {
  /** (rows, vocabulary) */
  readonly logits: Float32Array;
  readonly nllMean: number;
}

export interface MeasuredGradients {
  /** (rank, inFeatures) */
  readonly a: Float32Array;
  /** (outFeatures, rank) */
  readonly b: Float32Array;
}

export type Quantity = 'logits' | 'outputs' | 'losses' | 'gradients';

/** Relative errors. */
export type Limits = Readonly<Record<Quantity, number>>;

/** Of float32. */
export const float32Limits: Limits = { logits: 1e-4, outputs: 1e-4, losses: 1e-5, gradients: 1e-3 };

/**
 * Of a device that computes in bfloat16, whose roundings are 2^-9 each: about twice what right
 * families have on a card; what leaves out a norm, a bias or a factor is beyond.
 */
export const bfloat16Limits: Limits = {
  logits: 1e-1,
  outputs: 1e-1,
  losses: 1e-2,
  gradients: 2e-1,
};

/**
 * `bfloat16Limits` of a golden that knows what rounding makes of its gradients: about twice that
 * is right, too.
 */
export function bfloat16LimitsOf({ bfloat16Gradients = 0 }: Golden): Limits {
  return {
    ...bfloat16Limits,
    gradients: Math.max(bfloat16Limits.gradients, 2 * bfloat16Gradients),
  };
}

/** One comparison: how far off what is. */
export interface Deviation {
  readonly quantity: Quantity;
  /** Such as `sequence 0, row 47` or `model.layers.0.mlp.up_proj A`. */
  readonly what: string;
  /** Relative error; Infinity where something is missing or not a number. */
  readonly error: number;
}

export interface Comparison {
  /** The largest error of each; undefined where the golden knows none. */
  readonly worst: Readonly<Record<Quantity, number | undefined>>;
  /** What is over its limit, the largest first. */
  readonly wrong: readonly Deviation[];
}

/** Compares every number that the golden knows. */
export function compareGolden(
  golden: Golden,
  measured: Measured,
  limits: Limits = float32Limits,
): Comparison {
  const deviations = [
    ...golden.sequences.flatMap((sequence, index) =>
      sequenceDeviations(sequence, measured.sequences[index], `sequence ${index}`),
    ),
    deviation('losses', 'loss with LoRA', relative([measured.lora.loss], [golden.lora.loss])),
    ...gradientDeviations(golden, measured),
    ...featureDeviations(golden, measured),
  ];
  return summed(deviations, limits);
}

/** The largest of each quantity, and what is over its limit. */
export function summed(deviations: readonly Deviation[], limits: Limits): Comparison {
  return {
    worst: {
      logits: largest(deviations, 'logits'),
      outputs: largest(deviations, 'outputs'),
      losses: largest(deviations, 'losses'),
      gradients: largest(deviations, 'gradients'),
    },
    wrong: deviations
      .filter(({ quantity, error }) => error > limits[quantity])
      .sort(
        (one, other) => other.error / limits[other.quantity] - one.error / limits[one.quantity],
      ),
  };
}

function sequenceDeviations(
  golden: GoldenSequence,
  measured: MeasuredSequence | undefined,
  name: string,
): readonly Deviation[] {
  const rows = golden.ids.length;
  const width = (measured?.logits.length ?? 0) / rows;
  if (!measured || width === 0 || !Number.isInteger(width))
    return [deviation('logits', name, Number.POSITIVE_INFINITY)];
  const row = (index: number): Float32Array =>
    measured.logits.subarray(index * width, (index + 1) * width);
  const known = golden.logits.map((part) => {
    const values = row(part.row).subarray(0, part.values.length);
    return deviation('logits', `${name}, row ${part.row}`, relative(values, part.values));
  });
  const all = Array.from({ length: rows }, (_, index) => row(index));
  const sums = relative(all.map(logSumExp), golden.logSumExp);
  const losses =
    golden.nllMean === undefined ? [] : [relative([measured.nllMean], [golden.nllMean])];
  return [
    ...known,
    deviation('logits', `${name}, log sum exp`, sums),
    deviation('logits', `${name}, largest logits`, largestLogits(all, golden.argmax)),
    ...losses.map((error) => deviation('losses', name, error)),
  ];
}

/** How far the logits that are the golden's largest are below the largest here. */
function largestLogits(rows: readonly Float32Array[], argmax: readonly number[]): number {
  const errors = rows.map((row, index) => {
    const top = maximum(row);
    return (top - at(row, at(argmax, index))) / Math.max(1, Math.abs(top));
  });
  return maximum(errors);
}

function featureDeviations(
  { imageFeatures: expected }: Golden,
  { imageFeatures: found = new Float32Array() }: Measured,
): readonly Deviation[] {
  if (!expected) return [];
  const { shape, first, norm } = expected;
  const size = shape.reduce((product, extent) => product * extent, 1);
  const isWhole = found.length === size;
  const errors = [
    relative(found.subarray(0, first.length), first),
    relative([normOf(found)], [norm]),
  ];
  const error = isWhole ? maximum(errors) : Number.POSITIVE_INFINITY;
  return [deviation('logits', 'image features', error)];
}

/** Of the golden's modules. */
export function gradientDeviations(
  golden: Pick<Golden, 'lora'>,
  measured: Pick<Measured, 'lora'>,
): readonly Deviation[] {
  return [...golden.lora.gradients].flatMap(([path, expected]) => {
    const found = measured.lora.gradients.get(path);
    return [
      deviation('gradients', `${path} A`, gradientError(found?.a, expected.a)),
      deviation('gradients', `${path} B`, gradientError(found?.b, expected.b)),
    ];
  });
}

/** Of the norm, and of the first values, beside what values of that norm are on average. */
function gradientError(found: Float32Array | undefined, expected: GoldenGradient): number {
  if (!found) return Number.POSITIVE_INFINITY;
  const { first, norm } = expected;
  // Of what leads to no loss, such as the last rows that are dropped.
  if (norm === 0) return normOf(found) === 0 ? 0 : Number.POSITIVE_INFINITY;
  const usual = norm * Math.sqrt(first.length / found.length);
  return orInfinite(
    Math.max(
      Math.abs(normOf(found) - norm) / norm,
      distance(found.subarray(0, first.length), first) / Math.max(normOf(first), usual),
    ),
  );
}

export function deviation(quantity: Quantity, what: string, error: number): Deviation {
  return { quantity, what, error };
}

function largest(deviations: readonly Deviation[], quantity: Quantity): number | undefined {
  const errors = deviations.filter((found) => found.quantity === quantity);
  return errors.length === 0 ? undefined : maximum(errors.map(({ error }) => error));
}

/** Norm of the difference by the norm of what is expected. */
export function relative(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  return orInfinite(distance(found, expected) / normOf(expected));
}

/** Infinity for what is not a number, so that it is over every limit. */
function orInfinite(error: number): number {
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

function distance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  return normOf(Array.from(expected, (value, index) => at(found, index) - value));
}

function normOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (const value of Array.from(values)) sum += value * value;
  return Math.sqrt(sum);
}

function logSumExp(row: Float32Array): number {
  const top = maximum(row);
  let sum = 0;
  for (const value of row) sum += Math.exp(value - top);
  return top + Math.log(sum);
}

/** NaN where one is. */
function maximum(values: ArrayLike<number>): number {
  let top = Number.NEGATIVE_INFINITY;
  for (const value of Array.from(values)) top = Math.max(top, value);
  return top;
}
