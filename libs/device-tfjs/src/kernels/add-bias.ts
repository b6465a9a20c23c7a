import type { AddBiasOptions } from '@emloc/device';
import { assertShape, matrix } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function addBias({ tf, memory }: TfjsContext, { bias, out }: AddBiasOptions): void {
  const [, width] = matrix('addBias', out);
  assertShape('addBias', bias, [width]);
  if (out.size > 0) memory.write(out, tf.add(memory.float32(out), memory.float32(bias)));
}
