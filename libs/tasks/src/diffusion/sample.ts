import { setImmediate } from 'node:timers/promises';
import { at } from '@emloc/checked';
import type { NoiseSchedule } from '@emloc/models';

import { latentRows, type LatentSize, type PatchLimits } from './latents.js';
import { noiseOf } from './noise.js';
import { samplingNoiseLevels } from './scheduler.js';

/** What a transformer is asked: the velocity of packed latents at a noise level. */
export interface VelocityQuestion {
  /** (rows, columns); unchanged until the answer is there, then overwritten. */
  readonly latents: Float32Array;
  readonly size: LatentSize;
  readonly noiseLevel: number;
  /** null: the model takes none. */
  readonly guidance: number | null;
  readonly prompt: 'positive' | 'negative';
}

/** The predicted velocity, (rows, columns). */
export type EvaluateVelocity = (question: VelocityQuestion) => Promise<Float32Array>;

export interface SampleOptions {
  readonly schedule: NoiseSchedule;
  readonly limits: PatchLimits;
  /** Of the image's latents. */
  readonly size: LatentSize;
  readonly steps: number;
  /** What the model is told; null: the model takes none. */
  readonly guidance: number | null;
  /**
   * How far the velocity goes beyond that of the negative prompt, which is asked at every step,
   * too; null: there is no negative prompt.
   */
  readonly negativeScale: number | null;
  /** Packed latents to begin with, or the seed of noise. */
  readonly start: { readonly seed: number } | { readonly latents: Float32Array };
  readonly evaluate: EvaluateVelocity;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Makes the latents of an image by Euler's method: from noise, along the predicted velocities, to
 * noise level 0. Equal seeds and sizes begin with equal noise.
 * @returns packed latents, (rows, columns)
 * @throws DiffusionError DIFFUSION_INVALID_OPTION, DIFFUSION_INVALID_SIZE; the signal's reason
 */
export async function sample(options: SampleOptions): Promise<Float32Array> {
  const { schedule, limits, size, steps, start, signal } = options;
  const rows = latentRows(size, limits);
  const levels = samplingNoiseLevels(schedule, { steps, rows });
  const columns = limits.latentChannels * limits.patch ** 2;
  const latents =
    'latents' in start ? start.latents.slice() : noiseOf(start.seed, 'sample', rows * columns);
  for (let step = 0; step < steps; step += 1) {
    // A synchronous device settles every promise in microtasks: signals need a turn of their own.
    await setImmediate();
    signal?.throwIfAborted();
    const noiseLevel = at(levels, step);
    const velocity = await velocityOf(options, latents, noiseLevel);
    advance(latents, velocity, at(levels, step + 1) - noiseLevel);
    options.onProgress?.(step + 1, steps);
  }
  return latents;
}

async function velocityOf(
  { size, guidance, negativeScale, evaluate }: SampleOptions,
  latents: Float32Array,
  noiseLevel: number,
): Promise<Float32Array> {
  const ask = (prompt: VelocityQuestion['prompt']): Promise<Float32Array> =>
    evaluate({ latents, size, noiseLevel, guidance, prompt });
  const positive = await ask('positive');
  if (negativeScale === null) return positive;
  const negative = await ask('negative');
  return negative.map((value, index) => value + negativeScale * (at(positive, index) - value));
}

function advance(latents: Float32Array, velocity: Float32Array, change: number): void {
  for (let index = 0; index < latents.length; index += 1)
    latents[index] = (latents[index] as number) + change * (velocity[index] as number);
}
