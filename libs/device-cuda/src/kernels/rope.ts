import { DeviceError, type RopeOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';

export function rope(context: CudaContext, options: RopeOptions): void {
  const { x, out, cos, sin, positions, heads, inverse, pairs = 'halves' } = options;
  const { rows, headDim, half } = ropeExtents(options);
  expectShape('rope', out, x.shape);
  expectShape('rope', positions, [rows]);
  for (const table of [cos, sin]) expectShape('rope', table, [table.dim(0), half]);
  const dtype = expectDType('rope', ['float32', 'bfloat16'] as const, x, out);
  expectDType('rope', ['float32'], cos, sin);
  expectDType('rope', ['int32'], positions);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  // Pairs that a thread of the wide form does; what does not turn is left alone in place.
  const together = pairs === 'halves' ? wideCount(dtype) : wideCount(dtype) / 2;
  const canBeWide = isWide(half, together, source, target) && (headDim / 2) % together === 0;
  const width = canBeWide ? together : 1;
  const units = source === target ? half : headDim / 2;
  const count = rows * heads * units;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(addressOf(context, cos))
    .pointer(addressOf(context, sin))
    .pointer(addressOf(context, positions))
    .pointer(count)
    .int32(heads)
    .int32(headDim)
    .int32(half)
    .int32(units)
    .float32(inverse ? -1 : 1)
    .launch('rope', `rope_${pairs}_${dtype}${canBeWide ? '_wide' : ''}`, shapeFor(count, width));
}

/** Rows, the length of a head, and how many pairs of it turn. */
function ropeExtents({ x, heads, rotaryDim }: RopeOptions): {
  rows: number;
  headDim: number;
  half: number;
} {
  const [rows, columns] = rowsAndColumns('rope', x);
  const headDim = columns / heads;
  const half = (rotaryDim ?? headDim) / 2;
  if (Number.isInteger(headDim / 2) && Number.isInteger(half) && half <= headDim / 2)
    return { rows, headDim, half };
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `cuda: rope: ${columns} columns are no ${heads} heads of even size, of which ${2 * half} elements turn`,
  );
}
