import type { ConfigReader } from '../config.js';

interface Common {
  readonly theta: number;
  /** How many of a head's elements rotate; even. */
  readonly rotaryDim: number;
}

interface Scaled {
  /** Rows that the model was first trained for. */
  readonly originalPositions: number;
}

/** What a config says of a rotary embedding, with every default filled in. */
export type RopeParameters = Common &
  (
    | { readonly type: 'default' }
    | { readonly type: 'linear'; readonly factor: number }
    | { readonly type: 'dynamic'; readonly factor: number }
    | {
        readonly type: 'proportional';
        readonly factor: number;
        /** Pairs that turn, the first ones; the others stay as they are. */
        readonly turningPairs: number;
      }
    | (Scaled & {
        readonly type: 'llama3';
        readonly factor: number;
        readonly lowFrequencyFactor: number;
        readonly highFrequencyFactor: number;
      })
    | (Scaled & {
        readonly type: 'yarn';
        readonly factor: number;
        readonly attentionFactor: number;
        readonly betaFast: number;
        readonly betaSlow: number;
        readonly truncate: boolean;
      })
    | (Scaled & {
        readonly type: 'longrope';
        readonly attentionFactor: number;
        readonly shortFactors: readonly number[];
        readonly longFactors: readonly number[];
      })
  );

export type RopeType = RopeParameters['type'];

/** What the parameters are read with, besides their own keys. */
export interface RopeContext extends Common {
  readonly maxPositions: number;
  /** What counts in place of the key `original_max_position_embeddings` within; null: that key. */
  readonly originalPositions: number | null;
  /** Whether the parameters are those of one type of layer among others. */
  readonly isLayered: boolean;
}

/** The share of a head that turns. */
export const partialKey = 'partial_rotary_factor';
/** Bounds of numbers of positions; the logarithm of 1 divides in longrope. */
export const positionBounds = { least: 2, most: 2 ** 31 - 1 };
const factorBounds = { least: 1e-3, most: 1e6 };

/** @throws ModelError for a key that is missing or has a value that makes no sense */
export function readParameters(
  type: RopeType,
  rope: ConfigReader,
  context: RopeContext,
): RopeParameters {
  const { theta, rotaryDim } = context;
  const common = { theta, rotaryDim };
  switch (type) {
    case 'default':
      return { ...common, type };
    case 'linear':
    case 'dynamic':
      return { ...common, type, factor: rope.number('factor', undefined, factorBounds) };
    case 'proportional':
      return {
        ...{ ...common, type, factor: rope.number('factor', 1, factorBounds) },
        turningPairs: Math.floor((rotaryDim * rope.number(partialKey, 1, { most: 1 })) / 2),
      };
    case 'llama3':
      return { ...common, type, ...llama3(rope, context) };
    case 'yarn':
      return { ...common, type, ...yarn(rope, context) };
    case 'longrope':
      return { ...common, type, ...longrope(rope, context) };
  }
}

function llama3(rope: ConfigReader, context: RopeContext) {
  const bounds = { least: 1e-6, most: 1e6 };
  const lowFrequencyFactor = rope.number('low_freq_factor', undefined, bounds);
  const highFrequencyFactor = rope.number('high_freq_factor', undefined, bounds);
  if (highFrequencyFactor <= lowFrequencyFactor)
    throw rope.invalid('high_freq_factor', `above low_freq_factor ${lowFrequencyFactor}`);
  return {
    factor: rope.number('factor', undefined, factorBounds),
    lowFrequencyFactor,
    highFrequencyFactor,
    originalPositions: originalPositions(rope, context),
  };
}

function yarn(rope: ConfigReader, context: RopeContext) {
  if (context.theta <= 1) throw rope.invalid('rope_theta', 'above 1 for yarn');
  const original = originalPositions(rope, context);
  const factor = rope.number('factor', context.maxPositions / original, factorBounds);
  return {
    factor,
    attentionFactor: rope.number('attention_factor', yarnAttention(rope, factor), {}),
    // 0 counts as absence, as it does in transformers.
    betaFast: rope.number('beta_fast', 32, { most: 1e6 }) || 32,
    betaSlow: rope.number('beta_slow', 1, { most: 1e6 }) || 1,
    truncate: truncates(rope, context),
    originalPositions: original,
  };
}

/** The factor on cos and sin where none is given. */
function yarnAttention(rope: ConfigReader, factor: number): number {
  const scale = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const weight = rope.number('mscale', 0, { most: 1e6 });
  const weightOfAll = rope.number('mscale_all_dim', 0, { most: 1e6 });
  return weight !== 0 && weightOfAll !== 0 ? scale(weight) / scale(weightOfAll) : scale(1);
}

/**
 * transformers takes null for false, and looks for the key outside the parameters of a type of
 * layer, where it never is.
 */
function truncates(rope: ConfigReader, { isLayered }: RopeContext): boolean {
  if (!isLayered) return rope.get('truncate') !== null && rope.boolean('truncate', true);
  rope.only('truncate', [true]);
  return true;
}

function longrope(rope: ConfigReader, context: RopeContext) {
  const original = originalPositions(rope, context);
  const factor = rope.number('factor', context.maxPositions / original, factorBounds);
  const derived = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  return {
    attentionFactor: rope.number('attention_factor', derived, {}),
    shortFactors: divisors(rope, 'short_factor', context),
    longFactors: divisors(rope, 'long_factor', context),
    originalPositions: original,
  };
}

function divisors(rope: ConfigReader, key: string, { rotaryDim }: RopeContext): readonly number[] {
  const values: unknown = rope.get(key);
  const isDivisor = (value: unknown): value is number =>
    typeof value === 'number' && value >= factorBounds.least && value <= factorBounds.most;
  if (Array.isArray(values) && values.length === rotaryDim / 2 && values.every(isDivisor))
    return values;
  throw rope.invalid(
    key,
    `${rotaryDim / 2} numbers from ${factorBounds.least} to ${factorBounds.most}`,
  );
}

function originalPositions(rope: ConfigReader, context: RopeContext): number {
  if (context.originalPositions !== null) return context.originalPositions;
  return rope.positiveInteger(
    'original_max_position_embeddings',
    context.maxPositions,
    positionBounds,
  );
}
