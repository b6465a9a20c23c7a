import { at } from '@emloc/checked';
import { encoderStreams, type DiffusionLimits } from '@emloc/models';

import type { Condition } from './conditions.js';
import type { Draw, Draws, Picture } from './draws.js';
import { widened, type KeptStreams } from './kept-streams.js';
import {
  LatentRows,
  type LatentContent,
  type LatentRowsOptions,
  type Samples,
} from './latent-rows.js';
import { packLatents, sampleMoments } from './latents.js';
import { lossWeight, type LossWeighting } from './noise-levels.js';
import { noiseOf } from './noise.js';
import type { Sample } from './sample-row.js';
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
  readonly draws: Draws;
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
  const { draws, limits, prompts, conditioning } = options;
  const samples: Samples = {
    length: draws.length,
    at: (row) => {
      const draw = draws.at(row);
      return draw && sampleOf(options, draw);
    },
  };
  const content = (row: number): Promise<LatentContent> => contentOf(options, draws.at(row));
  return new LatentRows({ limits, samples, hasTarget: true, content, prompts, conditioning });
}

function sampleOf(options: DrawRowsOptions, draw: Draw): Sample {
  const { pictures, losses } = options;
  const { size, isClass } = at(pictures, draw.picture);
  const condition = conditionOf(options, draw);
  const factor = isClass ? losses.classWeight : 1;
  const weight = lossWeight(losses.weighting, condition.noiseLevel) * factor;
  return { size, condition, weight, isCounted: !isClass };
}

/** What the modulation of a draw depends on. */
export function conditionOf(
  {
    pictures,
    guidance,
    limits: { schedule },
  }: Pick<DrawRowsOptions, 'pictures' | 'guidance'> & {
    readonly limits: Pick<DiffusionLimits, 'schedule'>;
  },
  { picture, level }: Draw,
): Condition {
  return {
    noiseLevel: trainingNoiseLevel(schedule, level),
    guidance,
    caption: at(pictures, picture).caption,
  };
}

async function contentOf(
  { limits, moments, pictures }: DrawRowsOptions,
  draw: Draw | undefined,
): Promise<LatentContent> {
  if (!draw) throw new RangeError('a draw is asked for that there is not');
  const { picture, level, seed } = draw;
  const encoded = widened(await moments.read(picture, encoderStreams.moments));
  const own = noiseOf(seed, 'image', encoded.length / 2);
  const { size } = at(pictures, picture);
  const image = packLatents(sampleMoments(encoded, own, limits), size, limits);
  const noise = noiseOf(seed, 'draw', image.length);
  return noised({ image, noise, noiseLevel: trainingNoiseLevel(limits.schedule, level) });
}

/** Latents between an image and noise, and the way from one to the other. */
function noised({
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
