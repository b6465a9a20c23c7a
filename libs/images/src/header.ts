import { isFormat, readMetadata } from './decoder.js';
import { ImageError } from './errors.js';
import { formatOf } from './format.js';
import { labelOf, type DecodeOptions, type ImageInput, type ImageSize } from './image-input.js';
import { assertSize } from './limits.js';
import { isTransposed } from './orientation.js';
import { readBytes, type ImageBytes } from './read-bytes.js';

/** What is known of an image before it is decoded. */
export interface ImageHeader extends ImageSize {
  /** 1 to 8, as EXIF has it; 1: as it is. */
  readonly orientation: number;
  readonly isCmyk: boolean;
}

/** Bytes that hold the header of all but a few images. */
const headerBytes = 2 ** 16;

/**
 * The size that decoding will give, from the header alone.
 * @throws ImageError IMAGE_UNREADABLE, IMAGE_UNSUPPORTED_FORMAT, IMAGE_DAMAGED, IMAGE_TOO_LARGE,
 * IMAGE_DECODER_MISSING
 */
export async function measureImage(
  input: ImageInput,
  { exifOrientation }: DecodeOptions,
): Promise<ImageSize> {
  const { width, height, orientation } = await headerOf(input);
  return exifOrientation && isTransposed(orientation)
    ? { width: height, height: width }
    : { width, height };
}

async function headerOf(input: ImageInput): Promise<ImageHeader> {
  const label = labelOf(input);
  const start = await readBytes(input, headerBytes);
  if (mayBeEnough(start, label)) {
    const header = await readHeader(start.bytes, label).catch(unlessFinal(start));
    if (header) return header;
  }
  return readHeader((await readBytes(input)).bytes, label);
}

/** In PNG and JPEG all that counts stands before the pixels; elsewhere it may be at the end. */
function mayBeEnough({ bytes, isWhole }: ImageBytes, label: string): boolean {
  return isWhole || ['png', 'jpeg'].includes(formatOf(bytes, label));
}

/** A header that does not end within the first bytes is read again, with all of them. */
function unlessFinal({ isWhole }: ImageBytes): (error: unknown) => null {
  return (error) => {
    if (isWhole || !(error instanceof ImageError) || error.code !== 'IMAGE_DAMAGED') throw error;
    return null;
  };
}

/** @throws ImageError as `measureImage`, but IMAGE_UNREADABLE */
export async function readHeader(bytes: Uint8Array, label: string): Promise<ImageHeader> {
  const format = formatOf(bytes, label);
  const metadata = await readMetadata(bytes, label).catch(damagedBy(label));
  if (!isFormat(metadata, format))
    throw new ImageError(
      'IMAGE_UNSUPPORTED_FORMAT',
      `${label}: begins as ${format} and is ${metadata.format}`,
    );
  const { width, height, orientation = 1, space } = metadata;
  assertSize({ width, height }, label);
  return { width, height, orientation, isCmyk: space === 'cmyk' };
}

/** What a codec throws is an image's damage; this library's own errors stay. */
export function damagedBy(label: string): (cause: unknown) => never {
  return (cause) => {
    if (cause instanceof ImageError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${label}: is damaged or cut short: ${reason.trim().replace(/\s*[\r\n]+\s*/g, '; ')}`,
      { cause },
    );
  };
}
