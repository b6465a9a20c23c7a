import type { ImageSize, PixelPlan } from '@emloc/images';

import { createRandom } from '../random.js';
import { bucketStep, fitBucket, fitSquare } from './buckets.js';
import type { SizeOptions } from './picture-options.js';

/** A picture's share of the resolution below which it shows too little. */
const leastShare = 1 / 4;

/** Most of a picture's longer side to its shorter one. */
const mostRatio = 8;

/**
 * Why a picture of this size is not used; null where it is.
 * @param options.resolution in pixels
 */
export function sizeProblem(
  { width, height }: ImageSize,
  { resolution, buckets }: Pick<SizeOptions, 'resolution' | 'buckets'>,
): string | null {
  const least = Math.max(buckets ? bucketStep(resolution) : 1, Math.ceil(resolution * leastShare));
  const size = `${width} x ${height} pixels`;
  if (Math.min(width, height) < least)
    return `is too small: ${size}; at a resolution of ${resolution} the shorter side must have at least ${least}`;
  if (Math.max(width, height) > mostRatio * Math.min(width, height))
    return `is too narrow: ${size}; the longer side may be at most ${mostRatio} times the shorter one`;
  return null;
}

/**
 * How a picture becomes pixels: decided once, by the seed and the picture's name alone, so that
 * other pictures of a folder change nothing.
 */
export function planPicture(
  size: ImageSize,
  options: SizeOptions,
  { seed, name }: { readonly seed: number; readonly name: string },
): PixelPlan {
  const { resolution, buckets, exifOrientation } = options;
  const { resize, target } = buckets ? fitBucket(size, resolution) : fitSquare(size, resolution);
  const random = createRandom(seed, `picture ${name}`);
  // All are drawn, so that one option does not change what another one decides.
  const draws = { flip: random.nextFloat(), left: random.nextFloat(), top: random.nextFloat() };
  const place = (draw: number, room: number): number =>
    options.crop === 'random' ? Math.floor(draw * (room + 1)) : roundHalfEven(room / 2);
  return {
    ...target,
    resize,
    crop: {
      left: place(draws.left, resize.width - target.width),
      top: place(draws.top, resize.height - target.height),
    },
    flip: options.flip && draws.flip < 0.5,
    exifOrientation,
  };
}

/** As Python rounds, with which the middle of a picture is found elsewhere. */
function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  return value - down === 0.5 ? down + (down % 2) : Math.round(value);
}

/** Share of a picture's pixels that its plan cuts away, from 0 to 1. */
export function croppedShare({ width, height, resize }: PixelPlan): number {
  return 1 - (width * height) / (resize.width * resize.height);
}

/** Whether a picture has fewer pixels than its plan makes of it. */
export function isEnlarged(size: ImageSize, { resize }: PixelPlan): boolean {
  return resize.width > size.width || resize.height > size.height;
}
