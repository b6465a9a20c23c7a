import type { FillOptions } from '@emloc/device';

import { convert } from '../convert.js';
import { elements } from '../elements.js';

export function fill({ out, value }: FillOptions): void {
  if (out.dtype !== 'bfloat16') return void elements(out).fill(value);
  const rounded = new Uint16Array(1);
  convert(Float32Array.of(value), 'float32', rounded, 'bfloat16');
  elements(out).fill(rounded[0] as number);
}
