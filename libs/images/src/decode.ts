import { decodeRaw, type RawImage } from './decoder.js';
import { ImageError } from './errors.js';
import { damagedBy, readHeader } from './header.js';
import { labelOf, type DecodeOptions, type ImageInput, type RgbImage } from './image-input.js';
import { orient } from './orientation.js';
import { readBytes } from './read-bytes.js';

/**
 * The first frame as 8-bit RGB; nothing is decoded of an image that is too large.
 * @throws ImageError as `measureImage`
 */
export async function decodeImage(
  input: ImageInput,
  { exifOrientation }: DecodeOptions,
): Promise<RgbImage> {
  const label = labelOf(input);
  const { bytes } = await readBytes(input);
  const header = await readHeader(bytes, label);
  const { isCmyk, orientation } = header;
  const raw = await decodeRaw(bytes, { isCmyk, label }).catch(damagedBy(label));
  const { width, height } = raw;
  if (width !== header.width || height !== header.height)
    throw new ImageError(
      'IMAGE_DAMAGED',
      `${label}: ${width} x ${height} pixels, its header says ${header.width} x ${header.height}`,
    );
  const image = { rgb: rgbOf(raw, isCmyk, label), width, height };
  return exifOrientation ? orient(image, orientation) : image;
}

function rgbOf({ data, channels }: RawImage, isCmyk: boolean, label: string): Uint8Array {
  if (channels === 4 && isCmyk) return cmykToRgb(data);
  if (channels === 3) return data;
  throw new ImageError(
    'IMAGE_UNSUPPORTED_FORMAT',
    `${label}: ${channels} channels, which cannot be made RGB`,
  );
}

/** As Pillow does it, without profiles: each colour is (1 - ink) (1 - black). */
function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    const light = 255 - (cmyk[from + 3] as number);
    for (let colour = 0; colour < 3; colour++) {
      const product = (cmyk[from + colour] as number) * light + 128;
      rgb[to + colour] = light - ((product + (product >> 8)) >> 8);
    }
  }
  return rgb;
}
