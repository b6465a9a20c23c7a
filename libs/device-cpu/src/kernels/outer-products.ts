import type { GemmOptions, OuterProduct, OuterProductsOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';
import { gemm } from './gemm.js';

/** A product of whole matrices; some columns of a wider left one are summed directly. */
export function outerProducts(context: CpuContext, { products }: OuterProductsOptions): void {
  for (const product of products) {
    const whole = wholeProduct(product);
    if (whole) gemm(context, whole);
    else sumColumns(product);
  }
}

/** The product as one of whole matrices; null where only some of left's columns count. */
export function wholeProduct({
  left,
  leftColumn = 0,
  leftColumns,
  right,
  out,
  transposeOut,
  alpha,
}: OuterProduct): GemmOptions | null {
  if (leftColumn !== 0 || leftColumns !== left.shape[1]) return null;
  const [a, b] = transposeOut ? [right, left] : [left, right];
  return { a, b, out, transposeA: true, alpha, accumulate: true };
}

function sumColumns({
  left,
  leftColumn = 0,
  leftColumns,
  right,
  out,
  transposeOut,
  alpha = 1,
}: OuterProduct): void {
  const [rows, width] = matrix('outerProducts', left);
  const [, columns] = matrix('outerProducts', right);
  assertShape('outerProducts', right, [rows, columns]);
  assertShape('outerProducts', left, [rows, Math.max(width, leftColumn + leftColumns)]);
  assertShape('outerProducts', out, transposeOut ? [columns, leftColumns] : [leftColumns, columns]);
  const [lefts, rights, sums] = [float32(left), float32(right), float32(out)];
  const [step, stride] = transposeOut ? [leftColumns, 1] : [1, columns];
  for (let i = 0; i < leftColumns; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      let sum = 0;
      for (let row = 0; row < rows; row += 1)
        sum +=
          (lefts[row * width + leftColumn + i] as number) * (rights[row * columns + j] as number);
      sums[i * stride + j * step] = (sums[i * stride + j * step] as number) + alpha * sum;
    }
  }
}
