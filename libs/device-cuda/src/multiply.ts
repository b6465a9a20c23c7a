import { DeviceError, type Tensor } from '@emloc/device';

import type { CudaContext } from './context.js';
import {
  CUBLAS_COMPUTE_32F,
  CUBLAS_COMPUTE_64F,
  CUBLAS_GEMM_DEFAULT,
  CUBLAS_OP_N,
  CUBLAS_OP_T,
  CUDA_R_16BF,
  CUDA_R_32F,
  CUDA_R_64F,
} from './native/cublas.js';

const cudaTypes = { float32: CUDA_R_32F, bfloat16: CUDA_R_16BF, float64: CUDA_R_64F } as const;
export type Floating = keyof typeof cudaTypes;
export const floating = ['float32', 'bfloat16', 'float64'] as const;
/** cuBLAS reads them during the call. */
const scalars32 = { alpha: new Float32Array(1), beta: new Float32Array(1) };
const scalars64 = { alpha: new Float64Array(1), beta: new Float64Array(1) };

interface Operand {
  readonly address: number;
  readonly transposed: boolean;
  /** Elements from one row to the next. */
  readonly stride: number;
}

export interface Product {
  /** Column-major, as cuBLAS counts. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly alpha: number;
  readonly beta: number;
  readonly dtype: Floating;
  readonly outDType: Floating;
  readonly left: Operand;
  readonly right: Operand;
  readonly out: { readonly address: number; readonly stride: number };
}

export function multiply(
  { cublas, streams }: CudaContext,
  { m, n, k, alpha, beta, dtype, outDType, left, right, out }: Product,
): void {
  const scalars = dtype === 'float64' ? scalars64 : scalars32;
  scalars.alpha[0] = alpha;
  scalars.beta[0] = beta;
  cublas.calls.cublasGemmEx(
    cublas.handle,
    left.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
    right.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
    m,
    n,
    k,
    scalars.alpha,
    left.address,
    cudaTypes[dtype],
    left.stride,
    right.address,
    cudaTypes[dtype],
    right.stride,
    scalars.beta,
    out.address,
    cudaTypes[outDType],
    out.stride,
    dtype === 'float64' ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
    CUBLAS_GEMM_DEFAULT,
  );
  streams.advance('compute');
}

export function matrix(tensor: Tensor): readonly [number, number] {
  if (tensor.shape.length !== 2) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: ${tensor.label} has shape [${tensor.shape.join(', ')}], expected two dimensions`,
    );
  }
  return [tensor.dim(0), tensor.dim(1)];
}
