import type { AddOptions } from '@emloc/device';

import { assertSize } from '../checks.js';
import { floats } from '../memory.js';

export function add({ x, out, alpha = 1 }: AddOptions): void {
  assertSize('add', x, out.size);
  const [source, target] = [floats(x), floats(out)];
  for (let i = 0; i < target.length; i += 1)
    target[i] = (target[i] as number) + alpha * (source[i] as number);
}
