import type { CastOptions } from '@emloc/device';

import { assertSize } from '../checks.js';
import { convert } from '../convert.js';
import { elements } from '../elements.js';

export function cast({ x, out }: CastOptions): void {
  assertSize('cast', x, out.size);
  convert(elements(x), x.dtype, elements(out), out.dtype);
}
