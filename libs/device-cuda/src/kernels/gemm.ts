import { DeviceError, type GemmOptions } from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { floating, matrix, multiply } from '../multiply.js';
import { fill } from './fill.js';

/** Row-major out (m, n) = op(a) op(b), which column-major BLAS sees as outᵀ = op(b)ᵀ op(a)ᵀ. */
export function gemm(context: CudaContext, options: GemmOptions): void {
  const {
    a,
    b,
    out,
    transposeA = false,
    transposeB = false,
    alpha = 1,
    accumulate = false,
  } = options;
  const [[aRows, aColumns], [bRows, bColumns]] = [matrix(a), matrix(b)];
  const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [inner, n] = transposeB ? [bColumns, bRows] : [bRows, bColumns];
  if (inner !== k)
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: gemm: ${a.label} has inner extent ${k}, ${b.label} ${inner}`,
    );
  expectShape('gemm', out, [m, n]);
  const dtype = expectDType('gemm', floating, a, b);
  const outDType = expectDType(
    'gemm',
    dtype === 'bfloat16' ? (['bfloat16', 'float32'] as const) : [dtype],
    out,
  );
  if (m === 0 || n === 0) return;
  if (k === 0) return accumulate ? undefined : fill(context, { out, value: 0 });
  multiply(context, {
    m: n,
    n: m,
    k,
    alpha,
    beta: accumulate ? 1 : 0,
    dtype,
    outDType,
    left: { address: addressOf(context, b), transposed: transposeB, stride: bColumns },
    right: { address: addressOf(context, a), transposed: transposeA, stride: aColumns },
    out: { address: addressOf(context, out), stride: n },
  });
}
