import type { AddOptions } from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';

const floating = ['float32', 'bfloat16', 'float64'] as const;

export function add(context: CudaContext, { x, out, alpha = 1 }: AddOptions): void {
  expectShape('add', x, out.shape);
  const dtype = expectDType('add', floating, x, out);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const width = isWide(out.size, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .float64(alpha)
    .pointer(out.size)
    .launch('add', `add_${dtype}${width > 1 ? '_wide' : ''}`, shapeFor(out.size, width));
}
