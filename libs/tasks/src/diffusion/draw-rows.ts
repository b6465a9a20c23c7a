import { at } from '@emloc/checked';
import { encoderStreams, type DiffusionLimits } from '@emloc/models';

import type { Condition } from './conditions.js';
import type { Draw, Picture } from './draws.js';
import { widened, type KeptStreams } from './kept-streams.js';
import { LatentRows, type LatentContent, type LatentRowsOptions } from './latent-rows.js';
import { packLatents, sampleMoments } from './latents.js';
import { lossWeight, type LossWeighting } from './noise-levels.js';
import { noiseOf } from './noise.js';
import { trainingNoiseLevel } from './scheduler.js';

export interface DrawLosses {
  readonly weighting: LossWeighting;
  /** Factor of the losses of the class's pictures. */
  readonly classWeight: number;
}

/** Errors as they are: for scores. */
export const plainLosses: DrawLosses = Object.freeze({ weighting: 'none', classWeight: 1 });

export interface DrawRowsOptions extends Pick<
  LatentRowsOptions,
  'limits' | 'prompts' | 'conditioning'
> {
  readonly draws: readonly Draw[];
  readonly pictures: readonly Picture[];
  readonly guidance: number | null;
  readonly losses: DrawLosses;
  /** What the image encoder made of pictures, by their numbers. */
  readonly moments: KeptStreams;
}

/**
 * Draws as rows of a transformer that ends in its loss: noisy latents, and noise − latents as what
 * is to be predicted. The mean loss is that over the numbers of the subject's latents, to which the
 * class's losses are added.
 */
export function drawRows(options: DrawRowsOptions): LatentRows {
  const { draws, pictures, limits, losses, prompts, conditioning } = options;
  const conditions = conditionsOf(options);
  const samples = draws.map(({ picture }, index) => {
    const { size, isClass } = at(pictures, picture);
    const condition = at(conditions, index);
    const factor = isClass ? losses.classWeight : 1;
    const weight = lossWeight(losses.weighting, condition.noiseLevel) * factor;
    return { size, condition, weight, isCounted: !isClass };
  });
  const content = (row: number): Promise<LatentContent> => contentOf(options, at(draws, row));
  return new LatentRows({ limits, samples, hasTarget: true, content, prompts, conditioning });
}

/** What the modulation of each draw depends on. */
export function conditionsOf({
  draws,
  pictures,
  guidance,
  limits: { schedule },
}: Pick<DrawRowsOptions, 'draws' | 'pictures' | 'guidance'> & {
  readonly limits: Pick<DiffusionLimits, 'schedule'>;
}): Condition[] {
  return draws.map(({ picture, level }) => ({
    noiseLevel: trainingNoiseLevel(schedule, level),
    guidance,
    caption: at(pictures, picture).caption,
  }));
}

async function contentOf(
  { limits, moments, pictures }: DrawRowsOptions,
  { picture, level, seed }: Draw,
): Promise<LatentContent> {
  const encoded = widened(await moments.read(picture, encoderStreams.moments));
  const own = noiseOf(seed, 'image', encoded.length / 2);
  const { size } = at(pictures, picture);
  const image = packLatents(sampleMoments(encoded, own, limits), size, limits);
  const noise = noiseOf(seed, 'draw', image.length);
  return noised({ image, noise, noiseLevel: trainingNoiseLevel(limits.schedule, level) });
}

/** Latents between an image and noise, and the way from one to the other. */
export function noised({
  image,
  noise,
  noiseLevel,
}: {
  readonly image: Float32Array;
  readonly noise: Float32Array;
  readonly noiseLevel: number;
}): LatentContent {
  const [latents, target] = [new Float32Array(image.length), new Float32Array(image.length)];
  for (let index = 0; index < image.length; index += 1) {
    const [z, e] = [image[index] as number, noise[index] as number];
    latents[index] = (1 - noiseLevel) * z + noiseLevel * e;
    target[index] = e - z;
  }
  return { latents, target };
}
