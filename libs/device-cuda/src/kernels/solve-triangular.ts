import type { SolveTriangularOptions } from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { matrix } from '../multiply.js';
import {
  CUBLAS_DIAG_NON_UNIT,
  CUBLAS_FILL_MODE_UPPER,
  CUBLAS_OP_T,
  CUBLAS_SIDE_LEFT,
} from '../native/cublas.js';

const one32 = Float32Array.of(1);
const one64 = Float64Array.of(1);

/** Column-major BLAS sees L xᵀ = yᵀ, and L as the transpose of an upper triangle. */
export async function solveTriangular(
  context: CudaContext,
  { x, l }: SolveTriangularOptions,
): Promise<void> {
  const [rows, n] = matrix(x);
  expectShape('solveTriangular', l, [n, n]);
  const dtype = expectDType('solveTriangular', ['float32', 'float64'] as const, x, l);
  if (rows === 0 || n === 0) return;
  const { calls, handle } = context.cublas;
  calls[dtype === 'float64' ? 'cublasDtrsm' : 'cublasStrsm'](
    handle,
    CUBLAS_SIDE_LEFT,
    CUBLAS_FILL_MODE_UPPER,
    CUBLAS_OP_T,
    CUBLAS_DIAG_NON_UNIT,
    n,
    rows,
    dtype === 'float64' ? one64 : one32,
    addressOf(context, l),
    n,
    addressOf(context, x),
    n,
  );
  context.streams.advance('compute');
}
