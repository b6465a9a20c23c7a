import type { GemmOptions } from '@emloc/device';
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
