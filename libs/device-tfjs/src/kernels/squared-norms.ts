import type { SquaredNormsOptions } from '@emloc/device';
import { assertShape } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function squaredNorms(
  { tf, memory }: TfjsContext,
  { tensors, out }: SquaredNormsOptions,
): void {
  assertShape('squaredNorms', out, [tensors.length]);
  if (tensors.length === 0) return;
  const norms = tensors.map((tensor) =>
    tensor.size === 0 ? tf.scalar(0) : tf.tidy(() => tf.sum(tf.square(memory.float32(tensor)))),
  );
  memory.write(out, tf.stack(norms));
}
