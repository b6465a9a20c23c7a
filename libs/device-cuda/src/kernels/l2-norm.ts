import {
  assertDivides,
  type L2NormBackwardOptions,
  type L2NormOptions,
  type Tensor,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { isWide } from '../wide.js';

const computeDTypes = ['float32', 'bfloat16'] as const;
/** Elements of an access of l2-norm.cu's wide form. */
const wideElements = 4;
/** Heads, one warp each, of a block. */
const blockHeads = 4;

export function l2Norm(
  context: CudaContext,
  { x, heads, epsilon, scale = 1, out, inverseNorm }: L2NormOptions,
): void {
  const [count, d] = inspect('l2Norm', x, heads, inverseNorm);
  expectShape('l2Norm', out, x.shape);
  const dtype = expectDType('l2Norm', computeDTypes, x, out);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const isWideHere = isWide(d, wideElements, source, target);
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(addressOf(context, inverseNorm))
    .pointer(count)
    .int32(d)
    .float32(epsilon)
    .float32(scale)
    .launch('l2-norm', `l2_norm_${dtype}${isWideHere ? '_wide' : ''}`, shapeOf(count));
}

export function l2NormBackward(context: CudaContext, options: L2NormBackwardOptions): void {
  const { dOut, x, heads, scale = 1, inverseNorm, dX, accumulate } = options;
  const [count, d] = inspect('l2NormBackward', x, heads, inverseNorm);
  for (const tensor of [dOut, dX]) expectShape('l2NormBackward', tensor, x.shape);
  const dtype = expectDType('l2NormBackward', computeDTypes, x, dOut, dX);
  const [gradient, source, target] = [dOut, x, dX].map((tensor) => addressOf(context, tensor)) as [
    number,
    number,
    number,
  ];
  const isWideHere = isWide(d, wideElements, gradient, source, target);
  context.launcher
    .begin()
    .pointer(gradient)
    .pointer(source)
    .pointer(addressOf(context, inverseNorm))
    .pointer(target)
    .pointer(count)
    .int32(d)
    .float32(scale)
    .int32(accumulate ? 1 : 0)
    .launch('l2-norm', `l2_norm_backward_${dtype}${isWideHere ? '_wide' : ''}`, shapeOf(count));
}

/** Heads of all rows, and the elements of one. */
function inspect(
  operation: string,
  x: Tensor,
  heads: number,
  inverseNorm: Tensor,
): readonly [count: number, d: number] {
  const [rows, columns] = rowsAndColumns(operation, x);
  assertDivides(`cuda: ${operation}`, { name: 'heads', count: heads }, x);
  expectShape(operation, inverseNorm, [rows, heads]);
  expectDType(operation, ['float32'], inverseNorm);
  return [rows * heads, columns / heads];
}

function shapeOf(count: number) {
  return { grid: [Math.ceil(count / blockHeads)] as const, block: blockHeads * 32 };
}
