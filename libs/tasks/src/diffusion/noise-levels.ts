import { at } from '@emloc/checked';
import { normalQuantile } from '@emloc/dataset';
import type { NoiseSchedule } from '@emloc/models';

import { DiffusionError } from './errors.js';
import { dynamicShift, shiftedBy } from './scheduler.js';

/**
 * How training draws noise levels. The first three, of SD3 and diffusers, draw a place u among the
 * levels, 0 for pure noise; the others, of sd-scripts, draw the level itself.
 */
export type NoiseScheme =
  /** u uniform */
  | { readonly kind: 'none' }
  /** u = sigmoid(mean + std · N(0, 1)) */
  | { readonly kind: 'logit-normal'; readonly mean: number; readonly std: number }
  /** u = 1 − t − scale (cos²(π t / 2) − 1 + t), t uniform */
  | { readonly kind: 'mode'; readonly scale: number }
  /** sigmoid(scale · N(0, 1)) */
  | { readonly kind: 'sigmoid'; readonly scale: number }
  /** The same, its odds times `shift`: more than 1 for more noise. */
  | { readonly kind: 'shift'; readonly scale: number; readonly shift: number }
  /** The same, its odds times what sampling takes for images of as many rows. */
  | { readonly kind: 'flux-shift'; readonly scale: number };

/** What a squared error counts by its noise level σ. */
export type LossWeighting =
  /** 1 */
  | 'none'
  /** σ⁻² */
  | 'sigma-sqrt'
  /** 2 / (π (1 − 2σ + 2σ²)) */
  | 'cosmap';

/** The published models' own, where a schedule has none. */
const fluxShift = Object.freeze({ baseShift: 0.5, maxShift: 1.15, baseRows: 256, maxRows: 4096 });

interface LevelInputs {
  readonly scheme: NoiseScheme;
  readonly schedule: NoiseSchedule;
  /** Of the image in the transformer. */
  readonly rows: number;
}

/**
 * The index of a noise level, 0 for pure noise, that a scheme has at a uniform number.
 * @param uniform 0 < uniform < 1: a draw, or a stratum's middle
 */
export function levelIndex(uniform: number, { scheme, schedule, rows }: LevelInputs): number {
  const place = placeOf(uniform, { scheme, schedule, rows });
  return Math.min(schedule.levels - 1, Math.max(0, Math.floor(place * schedule.levels)));
}

const strata = 2 ** 15;

/** The share of draws that a scheme gives each noise level, by its index. */
export function levelShares(inputs: LevelInputs): Float64Array {
  const shares = new Float64Array(inputs.schedule.levels);
  for (let stratum = 0; stratum < strata; stratum += 1) {
    const level = levelIndex((stratum + 0.5) / strata, inputs);
    shares[level] = at(shares, level) + 1 / strata;
  }
  return shares;
}

/** Factor of a sample's squared errors. @param noiseLevel 0 < σ ≤ 1 */
export function lossWeight(weighting: LossWeighting, noiseLevel: number): number {
  switch (weighting) {
    case 'none':
      return 1;
    case 'sigma-sqrt':
      return noiseLevel ** -2;
    case 'cosmap':
      return 2 / (Math.PI * (1 - 2 * noiseLevel + 2 * noiseLevel ** 2));
  }
}

/** @throws DiffusionError DIFFUSION_INVALID_OPTION for a number that is out of range */
export function assertNoiseScheme(scheme: NoiseScheme): void {
  for (const [name, value] of Object.entries(scheme)) {
    if (typeof value !== 'number') continue;
    const isPositive = name !== 'mean' && scheme.kind !== 'mode';
    if (Number.isFinite(value) && (!isPositive || value > 0)) continue;
    throw new DiffusionError(
      'DIFFUSION_INVALID_OPTION',
      `noise levels: ${name} of ${scheme.kind} is ${value}, a number${isPositive ? ' above 0' : ''} is needed`,
    );
  }
}

/** Where among the levels: 0 for pure noise, 1 for none. */
function placeOf(uniform: number, { scheme, schedule, rows }: LevelInputs): number {
  switch (scheme.kind) {
    case 'none':
      return uniform;
    case 'logit-normal':
      return sigmoid(scheme.mean + scheme.std * normalQuantile(uniform));
    case 'mode':
      return modePlace(uniform, scheme.scale);
    case 'sigmoid':
      return placeOfLevel(sigmoid(scheme.scale * normalQuantile(uniform)), schedule);
    case 'shift': {
      const level = sigmoid(scheme.scale * normalQuantile(uniform));
      return placeOfLevel(shiftedBy(scheme.shift, level), schedule);
    }
    case 'flux-shift': {
      const level = sigmoid(scheme.scale * normalQuantile(uniform));
      const shift = dynamicShift(schedule.dynamic ?? fluxShift, rows);
      return placeOfLevel(shiftedBy(Math.exp(shift), level), schedule);
    }
  }
}

function modePlace(uniform: number, scale: number): number {
  return 1 - uniform - scale * (Math.cos((Math.PI / 2) * uniform) ** 2 - 1 + uniform);
}

/** The inverse of `trainingNoiseLevel`. */
function placeOfLevel(level: number, { shift, dynamic }: NoiseSchedule): number {
  return 1 - (dynamic ? level : shiftedBy(1 / shift, level));
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
