import type sharpFunction from 'sharp';
import type { Metadata, Sharp, SharpOptions } from 'sharp';

import { ImageError } from './errors.js';
import type { ImageFormat } from './format.js';
import type { RgbImage } from './image-input.js';

type SharpModule = typeof sharpFunction;

/** libvips' loaders of the formats that are read, from memory alone: no file is opened. */
const wanted = ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Tiff', 'Heif'];

/** All other kinds of loaders that libvips can be built with. */
const unwanted = [
  ...['Analyze', 'Csv', 'Dcraw', 'Exr', 'Fits', 'Jp2k', 'Jxl', 'Magick', 'Magick7', 'Mat'],
  ...['Matrix', 'Nifti', 'Openslide', 'Pdf', 'Ppm', 'Rad', 'Raw', 'Svg', 'Uhdr', 'Vips'],
];

/**
 * Classes of libvips that are blocked, one by one: what is blocked is the process's, not the
 * thread's. Were all loaders blocked and the wanted ones unblocked again, as each thread loads
 * sharp, then other threads could decode nothing in between.
 */
export const blockedLoaders: readonly string[] = [
  ...wanted.flatMap((name) => [`${name}File`, `${name}Source`]),
  ...unwanted,
].map((name) => `VipsForeignLoad${name}`);

const options: SharpOptions = {
  // Truncated images are errors, as in Pillow; what a codec merely warns of is not.
  failOn: 'error',
  // Checked before, by what the header says.
  limitInputPixels: false,
  // Pillow's conversion to RGB knows no profiles.
  ignoreIcc: true,
  animated: false,
};

let loading: Promise<SharpModule> | undefined;

/**
 * Loaded when the first image is read: text needs no decoder.
 * @throws ImageError IMAGE_DECODER_MISSING
 */
async function loadSharp(label: string): Promise<SharpModule> {
  try {
    return await (loading ??= importSharp());
  } catch (cause) {
    throw new ImageError(
      'IMAGE_DECODER_MISSING',
      `${label}: images are decoded and written by the package sharp, which cannot be loaded here`,
      { cause },
    );
  }
}

async function importSharp(): Promise<SharpModule> {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  sharp.block({ operation: [...blockedLoaders] });
  return sharp;
}

/** What the header says. @throws ImageError IMAGE_DECODER_MISSING; what sharp throws */
export async function readMetadata(bytes: Uint8Array, label: string): Promise<Metadata> {
  const sharp = await loadSharp(label);
  return sharp(bytes, options).metadata();
}

/** Samples of 8 bits, (height, width, channels). */
export interface RawImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/**
 * The pixels: 3 channels of RGB, or 4 of CMYK, which are the file's own.
 * @throws ImageError IMAGE_DECODER_MISSING; what sharp throws
 */
export async function decodeRaw(
  bytes: Uint8Array,
  { isCmyk, label }: { readonly isCmyk: boolean; readonly label: string },
): Promise<RawImage> {
  const sharp = await loadSharp(label);
  const image = sharp(bytes, options);
  const { data, info } = await (isCmyk ? asCmyk(image) : asRgb(image))
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  return { data, width, height, channels };
}

/** sharp would manage colours on the way from CMYK to RGB. */
function asCmyk(image: Sharp): Sharp {
  return image.pipelineColourspace('cmyk').toColourspace('cmyk');
}

/** Grey becomes three equal channels; alpha is dropped without compositing. */
function asRgb(image: Sharp): Sharp {
  return image.toColourspace('srgb').removeAlpha();
}

/**
 * A PNG file of 8 bits a channel, without metadata: equal pixels give equal bytes.
 * @throws ImageError IMAGE_DECODER_MISSING
 */
export async function encodePng({ rgb, width, height }: RgbImage): Promise<Uint8Array> {
  const sharp = await loadSharp('a PNG file');
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** Whether sharp says the same of a file as its first bytes do. */
export function isFormat({ format }: Metadata, expected: ImageFormat): boolean {
  return format === expected;
}
