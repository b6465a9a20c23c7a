import { assertPatches, type GatherPatchesOptions } from '@emloc/device';

import { float32 } from '../memory.js';

export function gatherPatches(options: GatherPatchesOptions): void {
  assertPatches('gatherPatches', options);
  const { x, size, stride, before, outWidth, first, out } = options;
  const [source, target] = [float32(x), float32(out)];
  const channels = x.dim(1);
  const pixelOf = pixelFinder(options);
  for (let p = 0; p < out.dim(0); p += 1) {
    const top = Math.floor((first + p) / outWidth) * stride - before;
    const left = ((first + p) % outWidth) * stride - before;
    const start = p * channels * size * size;
    for (let tap = 0; tap < size * size; tap += 1) {
      const pixel = pixelOf(top + Math.floor(tap / size), left + (tap % size));
      const to = { start: start + tap, step: size * size, count: channels };
      if (pixel < 0) clear(target, to);
      else spread(source, pixel * channels, target, to);
    }
  }
}

/** The row of x that a place of the image shows; −1 outside of it. */
function pixelFinder({ height, width, upsample = 1 }: GatherPatchesOptions) {
  return (y: number, x: number): number =>
    y < 0 || x < 0 || y >= height * upsample || x >= width * upsample
      ? -1
      : Math.floor(y / upsample) * width + Math.floor(x / upsample);
}

interface Places {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

function clear(target: Float32Array, { start, step, count }: Places): void {
  for (let i = 0, j = start; i < count; i += 1, j += step) target[j] = 0;
}

function spread(
  source: Float32Array,
  from: number,
  target: Float32Array,
  { start, step, count }: Places,
): void {
  for (let i = from, j = start; i < from + count; i += 1, j += step)
    target[j] = source[i] as number;
}
