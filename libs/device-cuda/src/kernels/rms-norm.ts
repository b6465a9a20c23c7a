import type { RmsNormBackwardOptions, RmsNormOptions, Tensor } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { isWide, wideCount } from '../wide.js';

const computeDTypes = ['float32', 'bfloat16'] as const;

export function rmsNorm(
  context: CudaContext,
  { x, weight, epsilon, out, inverseRms }: RmsNormOptions,
): void {
  const [rows, columns] = checkRows('rmsNorm', x, weight, inverseRms);
  expectShape('rmsNorm', out, x.shape);
  const dtype = expectDType('rmsNorm', computeDTypes, x, weight, out);
  const addresses = [x, weight, out].map((tensor) => addressOf(context, tensor)) as [
    number,
    number,
    number,
  ];
  const width = isWide(columns, wideCount(dtype), ...addresses) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(addresses[0])
    .pointer(addresses[1])
    .pointer(addresses[2])
    .pointer(addressOf(context, inverseRms))
    .int32(columns)
    .float32(epsilon)
    .launch('rms-norm', `rms_norm_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, width),
    });
}

export function rmsNormBackward(
  context: CudaContext,
  { dOut, x, weight, inverseRms, dX, accumulate, out }: RmsNormBackwardOptions,
): void {
  const [rows, columns] = checkRows('rmsNormBackward', x, weight, inverseRms);
  expectShape('rmsNormBackward', dOut, x.shape);
  expectShape('rmsNormBackward', dX, x.shape);
  if (out) expectShape('rmsNormBackward', out, x.shape);
  const dtype = expectDType(
    'rmsNormBackward',
    computeDTypes,
    x,
    dOut,
    weight,
    dX,
    ...(out ? [out] : []),
  );
  const addresses = [dOut, x, weight, dX, out].map((tensor) =>
    tensor ? addressOf(context, tensor) : 0,
  ) as [number, number, number, number, number];
  const width = isWide(columns, wideCount(dtype), ...addresses) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(addresses[0])
    .pointer(addresses[1])
    .pointer(addresses[2])
    .pointer(addressOf(context, inverseRms))
    .pointer(addresses[3])
    .pointer(addresses[4])
    .int32(columns)
    .int32(accumulate ? 1 : 0)
    .launch('rms-norm', `rms_norm_backward_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, width),
    });
}

function checkRows(
  operation: string,
  x: Tensor,
  weight: Tensor,
  inverseRms: Tensor,
): readonly [number, number] {
  const [rows, columns] = rowsAndColumns(operation, x);
  expectShape(operation, weight, [columns]);
  expectShape(operation, inverseRms, [rows]);
  expectDType(operation, ['float32'], inverseRms);
  return [rows, columns];
}

/**
 * Threads for a row: whole warps, no more than the row has accesses. It depends on the row's length
 * alone, so sums keep their order.
 */
export function blockFor(columns: number, width: number, maximum = 512): number {
  return Math.min(maximum, Math.max(32, Math.ceil(columns / width / 32) * 32));
}
