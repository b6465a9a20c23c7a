import type { GemmOptions, GramOptions, OuterProductsOptions } from '@emloc/device';
import { assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/** An empty inner extent gives zeros. */
export function gemm({ tf, memory }: TfjsContext, options: GemmOptions): void {
  const {
    a,
    b,
    out,
    transposeA = false,
    transposeB = false,
    alpha = 1,
    accumulate = false,
  } = options;
  const [m, n] = matrix('gemm', out);
  const k = matrix('gemm', a)[transposeA ? 0 : 1];
  assertShape('gemm', a, transposeA ? [k, m] : [m, k]);
  assertShape('gemm', b, transposeB ? [n, k] : [k, n]);
  if (m * n === 0 || (k === 0 && accumulate)) return;
  if (k === 0) return memory.write(out, tf.zeros([m, n]));
  const product = tf.matMul(
    memory.float32<Tensor2D>(a),
    memory.float32<Tensor2D>(b),
    transposeA,
    transposeB,
  );
  const scaled = alpha === 1 ? product : tf.mul(product, alpha);
  memory.write(out, accumulate ? tf.add(memory.float32(out), scaled) : scaled);
}

/**
 * The product is averaged with its transpose: libraries do not promise that it is symmetric to the
 * last bit.
 */
export function gram({ tf, memory }: TfjsContext, { x, out }: GramOptions): void {
  const [rows, n] = matrix('gram', x);
  assertShape('gram', out, [n, n]);
  if (rows * n === 0) return;
  const values = memory.float32<Tensor2D>(x);
  const product = tf.matMul(values, values, true, false);
  memory.write(
    out,
    tf.add(memory.float32(out), tf.mul(tf.add(product, tf.transpose(product)), 0.5)),
  );
}

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
