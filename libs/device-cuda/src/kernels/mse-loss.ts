import type { MseLossOptions } from '@emloc/device';

import { blockFor } from '../block-for.js';
import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { isWide, wideCount } from '../wide.js';

export function mseLoss(
  context: CudaContext,
  { prediction, target, weights, loss, gradientScale }: MseLossOptions,
): void {
  const [rows, columns] = rowsAndColumns('mseLoss', prediction);
  expectShape('mseLoss', target, prediction.shape);
  expectShape('mseLoss', loss, [rows]);
  const dtype = expectDType('mseLoss', ['float32', 'bfloat16'] as const, prediction);
  const targetDType = expectDType('mseLoss', ['float32', dtype] as const, target);
  expectDType('mseLoss', ['float32'], loss, ...(weights ? [weights] : []));
  if (weights) expectShape('mseLoss', weights, [rows]);
  if (gradientScale) {
    expectShape('mseLoss', gradientScale, [1]);
    expectDType('mseLoss', ['float32'], gradientScale);
  }
  const [values, goals] = [addressOf(context, prediction), addressOf(context, target)];
  // The wider of the two dtypes says how many elements 16 bytes hold.
  const together = wideCount(targetDType);
  const canBeWide = isWide(columns, together, values, goals);
  context.launcher
    .begin()
    .pointer(values)
    .pointer(goals)
    .pointer(weights ? addressOf(context, weights) : 0)
    .pointer(addressOf(context, loss))
    .int32(columns)
    .pointer(gradientScale ? addressOf(context, gradientScale) : 0)
    .launch('mse-loss', `mse_loss_${dtype}_${targetDType}${canBeWide ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, canBeWide ? together : 1),
    });
}
