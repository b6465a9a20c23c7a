import { assertPatches, type GatherPatchesOptions } from '@emloc/device';

import { float32 } from '../memory.js';

/** Tap by tap: the channels of a pixel, or zeros, go `size²` apart into the patch. */
export function gatherPatches(options: GatherPatchesOptions): void {
  assertPatches('gatherPatches', options);
  const { x, height, width, size, stride, before, outWidth, first, out } = options;
  const { upsample = 1 } = options;
  const [source, target] = [float32(x), float32(out)];
  const [channels, taps, pixels] = [x.dim(1), size * size, out.dim(0)];
  const lastRow = Math.floor((first + pixels) / outWidth);
  const rows = placesOf({ length: height, upsample, before, count: lastRow * stride + size });
  const columns = placesOf({ length: width, upsample, before, count: outWidth * stride + size });
  let [top, left] = [Math.floor(first / outWidth) * stride, (first % outWidth) * stride];
  for (let p = 0; p < pixels; p += 1) {
    for (let dy = 0, tap = p * channels * taps; dy < size; dy += 1) {
      const row = rows[top + dy] as number;
      for (let dx = 0; dx < size; dx += 1, tap += 1) {
        const column = columns[left + dx] as number;
        const from = row < 0 || column < 0 ? -1 : (row * width + column) * channels;
        spread(source, from, target, tap, taps, channels);
      }
    }
    left += stride;
    if (left < outWidth * stride) continue;
    left = 0;
    top += stride;
  }
}

interface Axis {
  readonly length: number;
  readonly upsample: number;
  readonly before: number;
  readonly count: number;
}

/** Where in the image `count` places from `before` in front of it on are; −1 outside. */
function placesOf({ length, upsample, before, count }: Axis): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => {
    const place = i - before;
    return place >= 0 && place < length * upsample ? Math.floor(place / upsample) : -1;
  });
}

/** target[to + i · step] = source[from + i] for `count` elements; zeros for `from` −1. */
function spread(
  source: Float32Array,
  from: number,
  target: Float32Array,
  to: number,
  step: number,
  count: number,
): void {
  for (let i = 0, j = to; i < count; i += 1, j += step)
    target[j] = from < 0 ? 0 : (source[from + i] as number);
}
