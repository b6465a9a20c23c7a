import type { DropoutOptions } from '@emloc/device';
import { assertShape, dropoutFactors } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

/** TensorFlow.js has no shifts of 32 bits: what is kept is drawn on the host. */
export function dropout({ tf, memory }: TfjsContext, options: DropoutOptions): void {
  const { x, out, probability, key, stream, accumulate = false } = options;
  assertShape('dropout', out, x.shape);
  assertShape('dropout', key, [2]);
  if (x.size === 0) return;
  const drawn = dropoutFactors(x.size, memory.indices(key), { probability, stream });
  const factors = tf.tensor(drawn, [...x.shape]);
  const dropped = tf.mul(memory.float32(x), factors);
  memory.write(out, accumulate ? tf.add(memory.float32(out), dropped) : dropped);
}
