import { at } from '@emloc/checked';
import type { ImageSize } from '@emloc/images';

/** What a picture is resized to, so that it covers what is cut out of it. */
export interface Fit {
  readonly resize: ImageSize;
  /** Of what is cut out. */
  readonly target: ImageSize;
}

/** The square of the resolution, the shorter side of the picture resized to it, up or down. */
export function fitSquare({ width, height }: ImageSize, resolution: number): Fit {
  const target = { width: resolution, height: resolution };
  // Truncated, as torchvision's Resize does it.
  const long = (longer: number, shorter: number): number =>
    Math.trunc((resolution * longer) / shorter);
  const resize =
    width <= height
      ? { width: resolution, height: long(height, width) }
      : { width: long(width, height), height: resolution };
  return { resize, target };
}

/**
 * The rectangle of about `resolution`² pixels that loses least of the picture, of the largest
 * resolution at which the picture need not be enlarged. Every picture whose shorter side has
 * `bucketStep` pixels has one.
 */
export function fitBucket(size: ImageSize, resolution: number): Fit {
  const step = bucketStep(resolution);
  for (let area = resolution; area > step; area -= step) {
    const target = nearest(size, bucketsOf(area, step));
    if (scaleTo(size, target) <= 1) return resizeTo(size, target);
  }
  return resizeTo(size, { width: step, height: step });
}

/**
 * Sides of buckets are multiples of this: 64 as in other trainers, so that pictures share few
 * buckets; less at resolutions that it does not divide or that would have few shapes.
 */
export function bucketStep(resolution: number): number {
  return [64, 32].find((step) => resolution % step === 0 && 4 * step <= resolution) ?? 16;
}

/** By width: sides from half of the resolution to twice of it, as long as the area is kept. */
export function bucketsOf(resolution: number, step: number): ImageSize[] {
  const least = Math.ceil(resolution / 2 / step) * step;
  const most = 2 * resolution;
  const buckets: ImageSize[] = [];
  for (let side = least; side <= most; side += step) {
    const other = Math.min(most, Math.floor(resolution ** 2 / side / step) * step);
    if (other < least) continue;
    buckets.push({ width: side, height: other }, { width: other, height: side });
  }
  buckets.push({ width: resolution, height: resolution });
  return buckets;
}

function nearest(size: ImageSize, buckets: readonly ImageSize[]): ImageSize {
  return buckets.reduce(
    (best, bucket) => {
      const gain = keptShare(size, bucket) - keptShare(size, best);
      const isLarger = bucket.width * bucket.height > best.width * best.height;
      return gain > 0 || (gain === 0 && isLarger) ? bucket : best;
    },
    at(buckets, 0),
  );
}

/** What is left of a picture that is cut to the shape of a bucket. */
function keptShare(size: ImageSize, bucket: ImageSize): number {
  const ratio = (size.width * bucket.height) / (size.height * bucket.width);
  return Math.min(ratio, 1 / ratio);
}

function scaleTo(size: ImageSize, target: ImageSize): number {
  return Math.max(target.width / size.width, target.height / size.height);
}

function resizeTo(size: ImageSize, target: ImageSize): Fit {
  const scale = scaleTo(size, target);
  const side = (of: number, least: number): number => Math.max(least, Math.round(of * scale));
  const width = side(size.width, target.width);
  return { resize: { width, height: side(size.height, target.height) }, target };
}
