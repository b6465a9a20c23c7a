import type { ScaleByOptions } from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';

export function scaleBy(context: CudaContext, { x, out, factor }: ScaleByOptions): void {
  expectShape('scaleBy', out, x.shape);
  const dtype = expectDType('scaleBy', ['float32', 'bfloat16', 'float64'] as const, x, out);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const width = isWide(x.size, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .float64(factor)
    .pointer(x.size)
    .launch('scale-by', `scale_by_${dtype}${width > 1 ? '_wide' : ''}`, shapeFor(x.size, width));
}
