import { at } from '@emloc/checked';

import type { RopeFrequencies } from '../decoder-shape.js';
import type { RopeParameters } from './parameters.js';

const { fround } = Math;

/**
 * The frequencies of a job whose longest row has `length` tokens, rounded at the same places as
 * transformers' float32 computation.
 */
export function ropeFrequencies(parameters: RopeParameters, length: number): RopeFrequencies {
  const periods = radianPeriods(parameters);
  const plain = periods.map((period) => 1 / period);
  switch (parameters.type) {
    case 'default':
    case 'dynamic':
      return { inverse: plain, factor: 1 };
    case 'proportional':
      return {
        factor: 1,
        inverse: plain.map((each, pair) =>
          pair < parameters.turningPairs ? each / fround(parameters.factor) : 0,
        ),
      };
    case 'linear':
      return { inverse: plain.map((each) => each / fround(parameters.factor)), factor: 1 };
    case 'llama3':
      return { inverse: plain.map((each) => llama3(each, parameters)), factor: 1 };
    case 'yarn':
      return { inverse: yarn(periods, parameters), factor: fround(parameters.attentionFactor) };
    case 'longrope':
      return {
        inverse: longrope(periods, parameters, length),
        factor: fround(parameters.attentionFactor),
      };
  }
}

/** theta^(2i / rotaryDim): positions by which a pair turns one radian. */
function radianPeriods({ theta, rotaryDim }: RopeParameters): Float32Array {
  return Float32Array.from(
    { length: rotaryDim / 2 },
    (_, i) => fround(theta) ** fround((2 * i) / rotaryDim),
  );
}

type Llama3 = Extract<RopeParameters, { type: 'llama3' }>;

/** Low frequencies are divided by the factor, high ones stay, those between are mixed. */
function llama3(
  inverse: number,
  { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions }: Llama3,
): number {
  const wavelength = fround(fround(1 / inverse) * fround(2 * Math.PI));
  const divided = fround(inverse / fround(factor));
  if (wavelength > fround(originalPositions / low)) return divided;
  if (wavelength < fround(originalPositions / high)) return inverse;
  const turns = fround(fround(1 / wavelength) * fround(originalPositions));
  const share = fround(fround(turns - fround(low)) / fround(high - low));
  const slow = fround(fround(fround(1 - share) * inverse) / fround(factor));
  return slow + fround(share * inverse);
}

type Yarn = Extract<RopeParameters, { type: 'yarn' }>;

/** Interpolated and plain frequencies, mixed by a ramp over the pairs (arXiv 2309.00071). */
function yarn(periods: Float32Array, parameters: Yarn): Float32Array {
  const { factor } = parameters;
  const [from, to] = ramp(parameters);
  return periods.map((period, i) => {
    const share = Math.min(1, Math.max(0, fround(fround(i - fround(from)) / fround(to - from))));
    const plainShare = fround(1 - share);
    const interpolated = fround(1 / fround(fround(factor) * period));
    const plain = fround(1 / period);
    return fround(interpolated * fround(1 - plainShare)) + fround(plain * plainShare);
  });
}

/** The pairs where the ramp begins and ends. */
function ramp(parameters: Yarn): readonly [number, number] {
  const { rotaryDim, theta, originalPositions, truncate } = parameters;
  const pairOf = (turns: number): number =>
    (rotaryDim * Math.log(originalPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [low, high] = [pairOf(parameters.betaFast), pairOf(parameters.betaSlow)];
  const from = Math.max(truncate ? Math.floor(low) : low, 0);
  const to = Math.min(truncate ? Math.ceil(high) : high, rotaryDim - 1);
  return [from, from === to ? to + 0.001 : to];
}

type LongRope = Extract<RopeParameters, { type: 'longrope' }>;

/** One divisor a pair, from one of two lists (arXiv 2402.13753). */
function longrope(
  periods: Float32Array,
  { shortFactors, longFactors, originalPositions }: LongRope,
  length: number,
): Float32Array {
  const divisors = Float32Array.from(length > originalPositions ? longFactors : shortFactors);
  return divisors.map((divisor, i) => 1 / fround(divisor * at(periods, i)));
}
