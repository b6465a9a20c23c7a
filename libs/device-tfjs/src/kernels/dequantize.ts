import { quantizedLayout, type DequantizeOptions } from '@emloc/device';
import { assertShape, dequantizeWords } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

/** TensorFlow.js reads no bits of integers as floats: the numbers are made on the host. */
export function dequantize({ tf, memory }: TfjsContext, options: DequantizeOptions): void {
  const { x, format, out } = options;
  assertShape('dequantize', x, [quantizedLayout(out.size, format).words]);
  if (out.size === 0) return;
  const values = new Float32Array(out.size);
  dequantizeWords(memory.indices(x), format, values);
  memory.write(out, tf.tensor(values, [...out.shape]));
}
