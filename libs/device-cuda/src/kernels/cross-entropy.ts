import type { CrossEntropyOptions } from '@emloc/device';

import { blockFor } from '../block-for.js';
import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { isWide, wideCount } from '../wide.js';

export function crossEntropy(context: CudaContext, options: CrossEntropyOptions): void {
  const { logits, targets, loss, prediction, gradientScale, logitScale = 1, softCap } = options;
  const [rows, columns] = rowsAndColumns('crossEntropy', logits);
  for (const tensor of [targets, loss, prediction]) expectShape('crossEntropy', tensor, [rows]);
  const dtype = expectDType('crossEntropy', ['float32', 'bfloat16'] as const, logits);
  expectDType('crossEntropy', ['int32'], targets, prediction);
  expectDType('crossEntropy', ['float32'], loss);
  if (gradientScale) {
    expectShape('crossEntropy', gradientScale, [1]);
    expectDType('crossEntropy', ['float32'], gradientScale);
  }
  const address = addressOf(context, logits);
  const width = isWide(columns, wideCount(dtype), address) ? wideCount(dtype) : 1;
  const isPlain = logitScale === 1 && softCap === undefined;
  const { launcher } = context;
  launcher
    .begin()
    .pointer(address)
    .pointer(addressOf(context, targets))
    .pointer(addressOf(context, loss))
    .pointer(addressOf(context, prediction))
    .int32(columns)
    .pointer(gradientScale ? addressOf(context, gradientScale) : 0);
  // A cap of 0 is none.
  if (!isPlain) launcher.float32(logitScale).float32(softCap ?? 0);
  const name = isPlain ? 'cross_entropy' : 'cross_entropy_transformed';
  launcher.launch('cross-entropy', `${name}_${dtype}${width > 1 ? '_wide' : ''}`, {
    grid: [rows],
    block: blockFor(columns, width, 1024),
  });
}
