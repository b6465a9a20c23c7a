import { assertPatches, type GatherPatchesOptions } from '@emloc/device';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/** Rows of the image, and one of zeros for what is outside of it, gathered and transposed. */
export function gatherPatches({ tf, memory }: TfjsContext, options: GatherPatchesOptions): void {
  assertPatches('gatherPatches', options);
  const { x, size, out } = options;
  if (out.size === 0) return;
  const channels = x.dim(1);
  const padded = tf.concat([memory.float32<Tensor2D>(x), tf.zeros([1, channels]) as Tensor2D], 0);
  const taps = tf.gather(padded, tf.tensor1d(pixelsOf(options), 'int32'));
  const patches = tf.reshape(taps, [out.dim(0), size * size, channels]);
  memory.write(out, tf.transpose(patches, [0, 2, 1]));
}

/** The row of x, or that of zeros, of each tap of each output pixel. */
function pixelsOf(options: GatherPatchesOptions): Int32Array {
  const { height, width, size, stride, before, upsample = 1, outWidth, first, out } = options;
  const taps = size * size;
  return Int32Array.from({ length: out.dim(0) * taps }, (_, i) => {
    const [pixel, tap] = [first + Math.floor(i / taps), i % taps];
    const y = Math.floor(pixel / outWidth) * stride - before + Math.floor(tap / size);
    const x = (pixel % outWidth) * stride - before + (tap % size);
    const isInside = y >= 0 && x >= 0 && y < height * upsample && x < width * upsample;
    return isInside ? Math.floor(y / upsample) * width + Math.floor(x / upsample) : height * width;
  });
}
