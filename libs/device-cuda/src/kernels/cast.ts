import type { CastOptions } from '@emloc/device';

import { addressOf, expectShape, type CudaContext } from '../context.js';
import { launchCast } from '../launch-cast.js';
import { shapeFor } from '../shape-for.js';

export function cast(context: CudaContext, { x, out }: CastOptions): void {
  expectShape('cast', out, x.shape);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  if (x.dtype !== out.dtype)
    return launchCast(context.launcher, {
      from: x.dtype,
      to: out.dtype,
      source,
      target,
      count: x.size,
    });
  const unit = x.byteLength % 4 === 0 && source % 4 === 0 && target % 4 === 0 ? 4 : 2;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(x.byteLength / unit)
    .launch('cast', `copy_${unit}`, shapeFor(x.byteLength / unit, 1));
}
