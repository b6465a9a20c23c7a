import { ImageError } from './errors.js';
import type { DecodeOptions, ImageSize, RgbImage } from './image-input.js';
import { normalisedValues } from './normalise.js';
import { resizeRgb } from './resize/resize-rgb.js';

/** How an image becomes the pixels of a diffusion model: resized, mirrored, cut. */
export interface PixelPlan extends DecodeOptions, ImageSize {
  /** What the image, turned as `exifOrientation` says, is resized to. */
  readonly resize: ImageSize;
  /** Where in the resized image, mirrored or not, the `width` by `height` pixels begin. */
  readonly crop: { readonly left: number; readonly top: number };
  /** Whether the resized image is mirrored, left for right, before it is cut. */
  readonly flip: boolean;
}

/** Longest side of what an image is resized to. */
const mostSide = 65_535;

/** @throws ImageError IMAGE_INVALID_OPTION */
export function assertPixelPlan({ resize, crop, width, height }: PixelPlan): void {
  assertWithin('resize.width', resize.width, [1, mostSide]);
  assertWithin('resize.height', resize.height, [1, mostSide]);
  assertWithin('width', width, [1, resize.width]);
  assertWithin('height', height, [1, resize.height]);
  assertWithin('crop.left', crop.left, [0, resize.width - width]);
  assertWithin('crop.top', crop.top, [0, resize.height - height]);
}

function assertWithin(name: string, value: number, [least, most]: readonly [number, number]): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new ImageError(
      'IMAGE_INVALID_OPTION',
      `pixels: ${name} is ${value}, a whole number from ${least} to ${most} is expected`,
    );
}

/**
 * Pillow's bilinear resize, mirrored, cut, and (value / 255 - 0.5) / 0.5, each step rounded to
 * float32, as torchvision does it.
 * @param checkpoint called after the resize; may throw to end the work
 * @returns (height, width, 3) in [-1, 1]
 */
export function planPixels(
  image: RgbImage,
  plan: PixelPlan,
  checkpoint: () => void = () => undefined,
): Float32Array {
  const { resize, width, height } = plan;
  const rgb = resizeRgb(image.rgb, image, resize, 'bilinear');
  checkpoint();
  const values = normalisedValues(0.5, 0.5);
  const out = new Float32Array(height * width * 3);
  const step = plan.flip ? -3 : 3;
  const first = plan.flip ? resize.width - 1 - plan.crop.left : plan.crop.left;
  let to = 0;
  for (let y = 0; y < height; y++) {
    let from = ((plan.crop.top + y) * resize.width + first) * 3;
    for (let x = 0; x < width; x++, from += step)
      for (let channel = 0; channel < 3; channel++)
        out[to++] = values[rgb[from + channel] as number] as number;
  }
  return out;
}
