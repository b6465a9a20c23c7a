import { DeviceError, type RopeOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { isWide, wideCount } from '../wide.js';

const threads = 256;

export function rope(
  context: CudaContext,
  { x, out, cos, sin, positions, heads, inverse }: RopeOptions,
): void {
  const [rows, columns] = rowsAndColumns('rope', x);
  const half = columns / heads / 2;
  if (!Number.isInteger(half))
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: rope: ${columns} columns are no ${heads} heads of even size`,
    );
  expectShape('rope', out, x.shape);
  expectShape('rope', positions, [rows]);
  for (const table of [cos, sin]) expectShape('rope', table, [table.dim(0), half]);
  const dtype = expectDType('rope', ['float32', 'bfloat16'] as const, x, out);
  expectDType('rope', ['float32'], cos, sin);
  expectDType('rope', ['int32'], positions);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const width = isWide(half, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  const pairs = x.size / 2;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(addressOf(context, cos))
    .pointer(addressOf(context, sin))
    .pointer(addressOf(context, positions))
    .pointer(pairs)
    .int32(heads)
    .int32(half)
    .float32(inverse ? -1 : 1)
    .launch('rope', `rope_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [Math.ceil(pairs / width / threads)],
      block: threads,
    });
}
