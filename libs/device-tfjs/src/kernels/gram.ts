import type { GramOptions } from '@emloc/device';
import { assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/**
 * The product is averaged with its transpose: libraries do not promise that it is symmetric to the
 * last bit.
 */
export function gram({ tf, memory }: TfjsContext, { x, out }: GramOptions): void {
  const [rows, n] = matrix('gram', x);
  assertShape('gram', out, [n, n]);
  if (rows * n === 0) return;
  const values = memory.float32<Tensor2D>(x);
  const product = tf.matMul(values, values, true, false);
  memory.write(
    out,
    tf.add(memory.float32(out), tf.mul(tf.add(product, tf.transpose(product)), 0.5)),
  );
}
