import { quantizedLayout, type DequantizeOptions } from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide } from '../wide.js';

/** Numbers that a thread of the wide forms makes. */
const wide = 8;

export function dequantize(context: CudaContext, { x, format, out }: DequantizeOptions): void {
  const { codeWords, words } = quantizedLayout(out.size, format);
  expectShape('dequantize', x, [words]);
  expectDType('dequantize', ['int32'] as const, x);
  const dtype = expectDType('dequantize', ['float32', 'bfloat16'] as const, out);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const width = isWide(out.size, wide, target) ? wide : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(out.size)
    .pointer(codeWords)
    .launch(
      'dequantize',
      `dequantize_${format}_${dtype}${width > 1 ? '_wide' : ''}`,
      shapeFor(out.size, width),
    );
}
