import type { DiffusionLimits } from '@emloc/models';

import { DiffusionError } from './errors.js';

/** Height and width of an image's latents, in latent pixels. */
export interface LatentSize {
  readonly height: number;
  readonly width: number;
}

/** How latents become rows of a transformer. */
export type PatchLimits = Pick<DiffusionLimits, 'latentChannels' | 'patch'>;

/** The range that logarithms of variances are clamped to. */
const logVarianceRange = { least: -30, most: 20 } as const;

/** Rows that an image takes in a transformer. */
export function latentRows(
  { height, width }: LatentSize,
  { patch }: Pick<PatchLimits, 'patch'>,
): number {
  return (height / patch) * (width / patch);
}

/**
 * Rows of patches, row-major over the image; in a row channel by channel, each patch row-major:
 * column = channel · patch² + dy · patch + dx.
 * @param pixels (height · width, channels)
 * @returns (rows, channels · patch²)
 * @throws DiffusionError DIFFUSION_INVALID_SIZE
 */
export function packLatents(
  pixels: Float32Array,
  size: LatentSize,
  limits: PatchLimits,
): Float32Array {
  const pixelOf = packedPlaces(size, limits);
  return Float32Array.from(pixelOf, (pixel) => pixels[pixel] as number);
}

/** The inverse of `packLatents`. @returns (height · width, channels) */
export function unpackLatents(
  rows: Float32Array,
  size: LatentSize,
  limits: PatchLimits,
): Float32Array {
  const pixels = new Float32Array(rows.length);
  packedPlaces(size, limits).forEach((pixel, packed) => {
    pixels[pixel] = rows[packed] as number;
  });
  return pixels;
}

/**
 * A draw from the distribution that the image encoder gives, as a transformer takes it: (mean +
 * exp(½ log-variance) noise − shift) · scale.
 * @param moments (pixels, 2 · channels): means, then logarithms of variances
 * @param noise (pixels, channels); null: the means themselves
 * @returns (pixels, channels)
 */
export function sampleMoments(
  moments: Float32Array,
  noise: Float32Array | null,
  {
    latentChannels: channels,
    scaling: { shift, scale },
  }: Pick<DiffusionLimits, 'latentChannels' | 'scaling'>,
): Float32Array {
  const latents = new Float32Array(moments.length / 2);
  for (let index = 0; index < latents.length; index += 1) {
    const place = index + Math.floor(index / channels) * channels;
    const deviation = noise === null ? 0 : deviationOf(moments[place + channels] as number);
    const draw = (moments[place] as number) + deviation * (noise?.[index] ?? 0);
    latents[index] = (draw - shift) * scale;
  }
  return latents;
}

/** Latents of a transformer as the image decoder takes them: latent / scale + shift. */
export function decoderLatents(
  latents: Float32Array,
  { scaling: { shift, scale } }: Pick<DiffusionLimits, 'scaling'>,
): Float32Array {
  return latents.map((latent) => latent / scale + shift);
}

function deviationOf(logVariance: number): number {
  const { least, most } = logVarianceRange;
  return Math.exp(0.5 * Math.min(most, Math.max(least, logVariance)));
}

/** Of every packed number in order: its place among those by pixel. */
function packedPlaces(size: LatentSize, { latentChannels, patch }: PatchLimits): Int32Array {
  assertWhole(size, patch);
  const places = new Int32Array(size.height * size.width * latentChannels);
  let packed = 0;
  for (let top = 0; top < size.height; top += patch)
    for (let left = 0; left < size.width; left += patch)
      for (let channel = 0; channel < latentChannels; channel += 1)
        for (let dy = 0; dy < patch; dy += 1)
          for (let dx = 0; dx < patch; dx += 1, packed += 1)
            places[packed] = ((top + dy) * size.width + left + dx) * latentChannels + channel;
  return places;
}

function assertWhole({ height, width }: LatentSize, patch: number): void {
  for (const [side, pixels] of Object.entries({ height, width }))
    if (!Number.isInteger(pixels) || pixels < patch || pixels % patch !== 0)
      throw new DiffusionError(
        'DIFFUSION_INVALID_SIZE',
        `latents: ${side} is ${pixels}, a multiple of ${patch} from ${patch} on is needed`,
      );
}
