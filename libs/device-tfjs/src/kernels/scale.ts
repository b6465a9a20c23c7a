import type { ScaleOptions } from '@emloc/device';
import { assertShape, matrix } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function scale(
  { tf, memory }: TfjsContext,
  { x, scale: factors, along, out }: ScaleOptions,
): void {
  const [rows, width] = matrix('scale', x);
  assertShape('scale', out, x.shape);
  assertShape('scale', factors, [along === 'rows' ? rows : width]);
  if (x.size === 0) return;
  memory.write(
    out,
    tf.mul(
      memory.float32(x),
      tf.reshape(memory.float32(factors), along === 'rows' ? [rows, 1] : [1, width]),
    ),
  );
}
