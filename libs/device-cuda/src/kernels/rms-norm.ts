import type { RmsNormBackwardOptions, RmsNormOptions, Tensor } from '@emloc/device';

import { blockFor } from '../block-for.js';
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
  { x, weight, weightOffset = 0, epsilon, out, inverseRms }: RmsNormOptions,
): void {
  const [rows, columns] = checkRows('rmsNorm', x, weight, inverseRms);
  expectShape('rmsNorm', out, x.shape);
  const dtype = expectDType('rmsNorm', computeDTypes, x, ...(weight ? [weight] : []), out);
  const addresses = [x, weight, out].map((tensor) => (tensor ? addressOf(context, tensor) : 0)) as [
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
    .float32(weightOffset)
    .launch('rms-norm', `rms_norm_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, width),
    });
}

export function rmsNormBackward(context: CudaContext, options: RmsNormBackwardOptions): void {
  const { dOut, x, weight, weightOffset = 0, inverseRms, dX, accumulate, out } = options;
  const [rows, columns] = checkRows('rmsNormBackward', x, weight, inverseRms);
  expectShape('rmsNormBackward', dOut, x.shape);
  expectShape('rmsNormBackward', dX, x.shape);
  if (out) expectShape('rmsNormBackward', out, x.shape);
  const dtype = expectDType(
    'rmsNormBackward',
    computeDTypes,
    x,
    dOut,
    dX,
    ...[weight, out].filter((tensor) => !!tensor),
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
    .float32(weightOffset)
    .launch('rms-norm', `rms_norm_backward_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, width),
    });
}

function checkRows(
  operation: string,
  x: Tensor,
  weight: Tensor | null,
  inverseRms: Tensor,
): readonly [number, number] {
  const [rows, columns] = rowsAndColumns(operation, x);
  if (weight) expectShape(operation, weight, [columns]);
  expectShape(operation, inverseRms, [rows]);
  expectDType(operation, ['float32'], inverseRms);
  return [rows, columns];
}
