import type { Tensor } from '@emloc/device';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';

import type { TfjsContext } from './context.js';

/** What gradients are multiplied by so that their global norm stays; null: nothing. */
export function gradientClip(
  { tf, memory }: TfjsContext,
  squaredNorms: Tensor,
  maxNorm: number,
): TfTensor | null {
  const norm = tf.sqrt(tf.sum(memory.float32(squaredNorms)));
  return maxNorm === Number.POSITIVE_INFINITY
    ? null
    : tf.minimum(1, tf.div(maxNorm, tf.add(norm, 1e-6)));
}
