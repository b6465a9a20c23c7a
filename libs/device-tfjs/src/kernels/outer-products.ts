import type { OuterProductsOptions } from '@emloc/device';
import { assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

export function outerProducts(
  { tf, memory }: TfjsContext,
  { products }: OuterProductsOptions,
): void {
  for (const {
    left,
    leftColumn = 0,
    leftColumns,
    right,
    out,
    transposeOut,
    alpha = 1,
  } of products) {
    const [rows, width] = matrix('outerProducts', left);
    const [, columns] = matrix('outerProducts', right);
    assertShape('outerProducts', right, [rows, columns]);
    assertShape('outerProducts', left, [rows, Math.max(width, leftColumn + leftColumns)]);
    assertShape(
      'outerProducts',
      out,
      transposeOut ? [columns, leftColumns] : [leftColumns, columns],
    );
    if (rows * out.size === 0) continue;
    const part = tf.slice(memory.float32<Tensor2D>(left), [0, leftColumn], [rows, leftColumns]);
    const [a, b] = transposeOut
      ? [memory.float32<Tensor2D>(right), part]
      : [part, memory.float32<Tensor2D>(right)];
    const product = tf.matMul(a, b, true, false);
    memory.write(out, tf.add(memory.float32(out), alpha === 1 ? product : tf.mul(product, alpha)));
  }
}
