import { ImageError } from './errors.js';
import type { ImageSize } from './image-input.js';

/** Where Pillow refuses an image as a decompression bomb. */
const maxPixels = 178_956_970;

/** The longest side that a JPEG can have. Bounds the time that a resize takes, too. */
const maxSide = 65_535;

/** Bytes of a file: more than the RGB bytes of the largest image. */
export const maxFileBytes = 2 ** 29;

/** @throws ImageError IMAGE_DAMAGED, IMAGE_TOO_LARGE */
export function assertSize({ width, height }: ImageSize, label: string): void {
  const size = `${label}: ${width} x ${height} pixels`;
  if (width < 1 || height < 1) throw new ImageError('IMAGE_DAMAGED', `${size}, at least 1 x 1`);
  if (width > maxSide || height > maxSide)
    throw new ImageError('IMAGE_TOO_LARGE', `${size}, at most ${maxSide} on a side`);
  if (width * height > maxPixels)
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      `${size} are ${width * height}, at most ${maxPixels} in all`,
    );
}
