import type { DeviceProfile } from '@emloc/device';
import { emulatorRank, parseRatioRules, ratioOf, type RatioRule } from '@emloc/emulator';
import type { Model, ModelLinear } from '@emloc/models';

import { dividedLevels, parseLevels, type Level } from '../options/levels.js';
import { isPlain } from '../options/method.js';
import type { TuneOptions } from '../options/resolve.js';

/** A linear layer that the emulator replaces by factors of this rank. */
export interface EmulatedLinear extends ModelLinear {
  readonly ratio: number;
  readonly rank: number;
}

/** A part of training on an emulator whose factors are the first of the finest one's. */
export interface EmulatorLevel {
  readonly steps: number;
  readonly emulated: readonly EmulatedLinear[];
}

/** What decides which linears are emulated. */
type RatioOptions = Pick<TuneOptions, 'method' | 'ratios' | 'levels'>;

/** Rank in which a device stores factors of this mathematical rank. */
export function paddedRank(rank: number, { rankMultiple }: DeviceProfile): number {
  return Math.ceil(rank / rankMultiple) * rankMultiple;
}

/**
 * The linears that the emulator, or the finest of several, has as factors: those below 1; none of
 * a job on the original alone.
 */
export function emulatedLinears(
  { layout }: Pick<Model, 'layout'>,
  options: RatioOptions,
): EmulatedLinear[] {
  return isPlain(options) ? [] : emulatedBy(layout.linears, rulesOf(options));
}

/**
 * The same linears as factors of a coarser level: their ratios stand to those of the finest
 * emulator as the levels do. So their factors are the first columns and rows of its factors.
 */
function emulatedAt(
  finest: readonly EmulatedLinear[],
  { ratio }: Level,
  { ratio: finestRatio }: Level,
): EmulatedLinear[] {
  return finest.map((linear) => {
    const { inFeatures, outFeatures } = linear;
    const scaled = linear.ratio * (ratio / finestRatio);
    const rank = emulatorRank(scaled, inFeatures, outFeatures);
    return { ...linear, ratio: scaled, rank: Math.min(rank, linear.rank) };
  });
}

/** What a job's levels below 1 train on, from coarse to fine; null: it has one emulator. */
export function levelEmulators(
  finest: readonly EmulatedLinear[],
  options: RatioOptions,
): readonly EmulatorLevel[] | null {
  const levels = emulatorLevels(options);
  const last = levels?.at(-1);
  if (!levels || !last) return null;
  return levels.map((level) => ({
    steps: level.steps,
    emulated: emulatedAt(finest, level, last),
  }));
}

/** The levels of a job below 1, from coarse to fine; null: it has one emulator. */
function emulatorLevels({ levels }: RatioOptions): readonly Level[] | null {
  return levels === null ? null : dividedLevels(parseLevels('levels', levels)).emulated;
}

/** With levels, patterns hold at the finest emulator, and the rest has the level's own ratio. */
function rulesOf(options: RatioOptions): readonly RatioRule[] {
  const rules = parseRatioRules(options.ratios);
  const finest = emulatorLevels(options)?.at(-1);
  if (!finest) return rules;
  const patterns = rules.filter(({ pattern }) => pattern !== null);
  return [...patterns, { spec: options.levels ?? '', pattern: null, ratio: finest.ratio }];
}

function emulatedBy(
  linears: readonly ModelLinear[],
  rules: readonly RatioRule[],
): EmulatedLinear[] {
  return linears.flatMap((linear) => {
    const { inFeatures, outFeatures } = linear;
    const ratio = ratioOf(rules, linear);
    if (ratio >= 1) return [];
    return [{ ...linear, ratio, rank: emulatorRank(ratio, inFeatures, outFeatures) }];
  });
}
