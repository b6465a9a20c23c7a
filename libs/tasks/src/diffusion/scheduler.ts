import type { NoiseSchedule } from '@emloc/models';

import { DiffusionError } from './errors.js';

/**
 * The noise level of a training draw: from 1 (index 0) down to about 1 / levels. A dynamic shift
 * is one of sampling alone; a plain one holds for training, too.
 */
export function trainingNoiseLevel(
  { levels, shift, dynamic }: NoiseSchedule,
  index: number,
): number {
  const level = 1 - index / levels;
  return dynamic ? level : shiftedBy(shift, level);
}

/**
 * Noise levels of Euler's method from noise to image: `steps` falling ones, the first 1, then 0.
 * @param rows of the image in the transformer
 * @throws DiffusionError DIFFUSION_INVALID_OPTION
 */
export function samplingNoiseLevels(
  schedule: NoiseSchedule,
  { steps, rows }: { readonly steps: number; readonly rows: number },
): number[] {
  if (!Number.isInteger(steps) || steps < 1)
    throw new DiffusionError(
      'DIFFUSION_INVALID_OPTION',
      `sampling: ${steps} steps, a whole number from 1 on is needed`,
    );
  const factor = shiftFactor(schedule, rows);
  const levels = Array.from({ length: steps }, (_, step) => shiftedBy(factor, 1 - step / steps));
  return [...stretched(levels, schedule.shiftTerminal), 0];
}

type DynamicShift = Omit<NonNullable<NoiseSchedule['dynamic']>, 'kind'>;

/** The dynamic shift of an image's rows: exponential ones are about 0.5 to 1.15. */
export function dynamicShift(
  { baseShift, maxShift, baseRows, maxRows }: DynamicShift,
  rows: number,
): number {
  return baseShift + ((maxShift - baseShift) * (rows - baseRows)) / (maxRows - baseRows);
}

/** Multiplies the odds of a noise level: more than 1 moves it towards noise. */
export function shiftedBy(factor: number, level: number): number {
  return (factor * level) / (1 + (factor - 1) * level);
}

function shiftFactor({ shift, dynamic }: NoiseSchedule, rows: number): number {
  if (!dynamic) return shift;
  const own = dynamicShift(dynamic, rows);
  return dynamic.kind === 'exponential' ? Math.exp(own) : own;
}

function stretched(levels: readonly number[], terminal: number | null): readonly number[] {
  const last = levels.at(-1);
  if (terminal === null || last === undefined || last === 1) return levels;
  const scale = (1 - terminal) / (1 - last);
  return levels.map((level) => 1 - (1 - level) * scale);
}
