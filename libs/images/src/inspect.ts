import { ImageError } from './errors.js';
import { formatOf } from './format.js';
import { measureImage } from './header.js';
import { labelOf, type DecodeOptions, type ImageInput, type ImageSize } from './image-input.js';
import { readEnds } from './read-bytes.js';
import { hasEnd } from './whole.js';

/** What is known of an image before it is decoded. */
export interface ImageFacts extends ImageSize {
  /** Of its file. */
  readonly byteLength: number;
}

/** Bytes of either end of a file that are looked at. */
const endBytes = 2 ** 16;

/**
 * The size that decoding will give, for an image that has a header and an end.
 * @throws ImageError as `measureImage`; IMAGE_DAMAGED where a PNG, JPEG or WebP is cut short
 */
export async function inspectImage(input: ImageInput, options: DecodeOptions): Promise<ImageFacts> {
  const size = await measureImage(input, options);
  const ends = await readEnds(input, endBytes);
  const label = labelOf(input);
  const format = formatOf(ends.head, label);
  const { byteLength } = ends;
  if (!hasEnd(format, ends) && !hasEnd(format, await readEnds(input, byteLength)))
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${label}: is cut short: its ${byteLength} bytes do not hold the end of a ${format} image`,
    );
  return { ...size, byteLength };
}
