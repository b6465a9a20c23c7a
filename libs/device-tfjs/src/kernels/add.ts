import type { AddOptions } from '@emloc/device';
import { assertSize } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function add({ tf, memory }: TfjsContext, { x, out, alpha = 1 }: AddOptions): void {
  assertSize('add', x, out.size);
  if (out.size === 0) return;
  const values = tf.reshape(memory.float32(x), [...out.shape]);
  memory.write(out, tf.add(memory.float32(out), alpha === 1 ? values : tf.mul(values, alpha)));
}
