import type { ScaleByOptions } from '@emloc/device';
import { assertSize } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function scaleBy({ tf, memory }: TfjsContext, { x, out, factor }: ScaleByOptions): void {
  assertSize('scaleBy', out, x.size);
  if (x.size > 0) memory.write(out, tf.mul(memory.float32(x), factor));
}
