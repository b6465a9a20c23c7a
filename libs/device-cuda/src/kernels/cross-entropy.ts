import type { CrossEntropyOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { isWide, wideCount } from '../wide.js';
import { blockFor } from './rms-norm.js';

export function crossEntropy(
  context: CudaContext,
  { logits, targets, loss, prediction, gradientScale }: CrossEntropyOptions,
): void {
  const [rows, columns] = rowsAndColumns('crossEntropy', logits);
  for (const tensor of [targets, loss, prediction]) expectShape('crossEntropy', tensor, [rows]);
  const dtype = expectDType('crossEntropy', ['float32', 'bfloat16'] as const, logits);
  expectDType('crossEntropy', ['int32'], targets, prediction);
  expectDType('crossEntropy', ['float32'], loss);
  const address = addressOf(context, logits);
  const width = isWide(columns, wideCount(dtype), address) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(address)
    .pointer(addressOf(context, targets))
    .pointer(addressOf(context, loss))
    .pointer(addressOf(context, prediction))
    .int32(columns)
    .int32(gradientScale === undefined ? 0 : 1)
    .float32(gradientScale ?? 0)
    .launch('cross-entropy', `cross_entropy_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, width, 1024),
    });
}
