import type { ScaleByOptions } from '@emloc/device';

import { assertSize } from '../checks.js';
import { floats } from '../memory.js';

export function scaleBy({ x, out, factor }: ScaleByOptions): void {
  assertSize('scaleBy', out, x.size);
  const [source, target] = [floats(x), floats(out)];
  for (let i = 0; i < target.length; i += 1) target[i] = factor * (source[i] as number);
}
