import type { ScaleOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';

const floating = ['float32', 'bfloat16', 'float64'] as const;

export function scale(context: CudaContext, { x, scale: factors, along, out }: ScaleOptions): void {
  const [rows, columns] = rowsAndColumns('scale', x);
  expectShape('scale', out, x.shape);
  expectShape('scale', factors, [along === 'rows' ? rows : columns]);
  const dtype = expectDType('scale', floating, x, factors, out);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const width = isWide(columns, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(addressOf(context, factors))
    .pointer(target)
    .pointer(x.size)
    .int32(columns)
    .int32(along === 'rows' ? 1 : 0)
    .launch('scale', `scale_${dtype}${width > 1 ? '_wide' : ''}`, shapeFor(x.size, width));
}
