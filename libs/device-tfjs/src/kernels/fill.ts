import type { FillOptions } from '@emloc/device';

import type { TfjsContext } from '../context.js';

export function fill({ tf, memory }: TfjsContext, { out, value }: FillOptions): void {
  memory.write(out, tf.fill([out.size], value, out.dtype as 'float32' | 'int32'));
}
