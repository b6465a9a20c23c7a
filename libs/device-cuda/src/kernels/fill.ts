import type { FillOptions } from '@emloc/device';

import { addressOf, type CudaContext } from '../context.js';
import type { Launcher } from '../launcher.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';

export function fill(context: CudaContext, { out, value }: FillOptions): void {
  const { launcher } = context;
  const target = addressOf(context, out);
  if (out.dtype === 'int32') return fillInt32(launcher, target, value, out.size);
  const width = isWide(out.size, wideCount(out.dtype), target) ? wideCount(out.dtype) : 1;
  launcher.begin().pointer(target).float64(value).pointer(out.size);
  launcher.launch(
    'fill',
    `fill_${out.dtype}${width > 1 ? '_wide' : ''}`,
    shapeFor(out.size, width),
  );
}

function fillInt32(launcher: Launcher, target: number, value: number, count: number): void {
  launcher
    .begin()
    .pointer(target)
    .int32(value)
    .pointer(count)
    .launch('fill', 'fill_int32', shapeFor(count, 1));
}
