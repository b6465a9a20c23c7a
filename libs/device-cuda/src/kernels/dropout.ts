import { dropoutThreshold, type DropoutOptions } from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { shapeFor } from '../shape-for.js';

export function dropout(context: CudaContext, options: DropoutOptions): void {
  const { x, out, probability, key, stream, accumulate = false } = options;
  expectShape('dropout', out, x.shape);
  expectShape('dropout', key, [2]);
  expectDType('dropout', ['int32'] as const, key);
  const dtype = expectDType('dropout', ['float32', 'bfloat16'] as const, x, out);
  context.launcher
    .begin()
    .pointer(addressOf(context, x))
    .pointer(addressOf(context, out))
    .pointer(addressOf(context, key))
    // The words are unsigned there; the launcher packs their bits.
    .int32(stream | 0)
    .int32(dropoutThreshold(probability) | 0)
    .float32(1 / (1 - probability))
    .int32(accumulate ? 1 : 0)
    .pointer(x.size)
    .launch('dropout', `dropout_${dtype}`, shapeFor(x.size, elementsPerThread));
}

/** Of one draw of the generator. */
const elementsPerThread = 2;
