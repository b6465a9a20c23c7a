import type { AddBiasOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { shapeFor } from '../shape-for.js';
import { isWide, wideCount } from '../wide.js';

const floating = ['float32', 'bfloat16', 'float64'] as const;

export function addBias(context: CudaContext, { bias, out }: AddBiasOptions): void {
  const [, columns] = rowsAndColumns('addBias', out);
  expectShape('addBias', bias, [columns]);
  const dtype = expectDType('addBias', floating, bias, out);
  const [source, target] = [addressOf(context, bias), addressOf(context, out)];
  const width = isWide(columns, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(out.size)
    .int32(columns)
    .launch('add-bias', `add_bias_${dtype}${width > 1 ? '_wide' : ''}`, shapeFor(out.size, width));
}
