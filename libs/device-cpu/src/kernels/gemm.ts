import { DeviceError, type GemmOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32, float64, floats } from '../memory.js';

/** float32 or float64; an empty inner extent gives zeros. */
export function gemm({ linearAlgebra }: CpuContext, options: GemmOptions): void {
  const { a, b, out, transposeA = false, transposeB = false } = options;
  const { alpha = 1, accumulate = false } = options;
  const { m, n, k } = productExtents(options);
  if (m * n === 0) return;
  if (k === 0) {
    if (!accumulate) floats(out).fill(0);
    return;
  }
  const [aStride, bStride] = [transposeA ? m : k, transposeB ? k : n];
  if (out.dtype === 'float64') {
    linearAlgebra.dgemm({
      m,
      n,
      k,
      transposeA,
      transposeB,
      alpha,
      accumulate,
      a: { data: float64(a), stride: aStride },
      b: { data: float64(b), stride: bStride },
      out: { data: float64(out), stride: n },
    });
    return;
  }
  linearAlgebra.sgemm({
    m,
    n,
    k,
    transposeA,
    transposeB,
    alpha,
    accumulate,
    a: { data: float32(a), stride: aStride },
    b: { data: float32(b), stride: bStride },
    out: { data: float32(out), stride: n },
  });
}

function productExtents({ a, b, out, transposeA, transposeB }: GemmOptions) {
  const [m, n] = matrix('gemm', out);
  const [rows, columns] = matrix('gemm', a);
  const k = transposeA ? rows : columns;
  if (a.dtype !== b.dtype || a.dtype !== out.dtype) {
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `cpu device: gemm of ${a.dtype} and ${b.dtype} into ${out.dtype}`,
    );
  }
  assertShape('gemm', a, transposeA ? [k, m] : [m, k]);
  assertShape('gemm', b, transposeB ? [n, k] : [k, n]);
  return { m, n, k };
}
