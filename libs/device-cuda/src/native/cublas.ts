import koffi from 'koffi';

import { checkAll } from './status.js';

/**
 * cuBLAS, libcublas.so.12 or .13. Column-major, as BLAS is; `void *` scalars are typed arrays in
 * host memory.
 */
const declarations = {
  cublasCreate: 'int cublasCreate_v2(void *handle)',
  cublasDestroy: 'int cublasDestroy_v2(uint64_t handle)',
  cublasGetVersion: 'int cublasGetVersion_v2(uint64_t handle, void *version)',
  cublasSetStream: 'int cublasSetStream_v2(uint64_t handle, uint64_t stream)',
  cublasSetWorkspace:
    'int cublasSetWorkspace_v2(uint64_t handle, uint64_t workspace, uint64_t bytes)',
  cublasGemmEx:
    'int cublasGemmEx(uint64_t handle, int transposeA, int transposeB, int m, int n, int k, void *alpha, ' +
    'uint64_t a, int aType, int lda, uint64_t b, int bType, int ldb, void *beta, uint64_t c, int cType, int ldc, ' +
    'int computeType, int algorithm)',
  cublasStrsm:
    'int cublasStrsm_v2(uint64_t handle, int side, int triangle, int transpose, int diagonal, int m, int n, void *alpha, uint64_t a, int lda, uint64_t b, int ldb)',
  cublasDtrsm:
    'int cublasDtrsm_v2(uint64_t handle, int side, int triangle, int transpose, int diagonal, int m, int n, void *alpha, uint64_t a, int lda, uint64_t b, int ldb)',
} as const;

export const CUBLAS_SIDE_LEFT = 0;
export const CUBLAS_FILL_MODE_LOWER = 0;
export const CUBLAS_FILL_MODE_UPPER = 1;
export const CUBLAS_DIAG_NON_UNIT = 0;
export const CUBLAS_OP_N = 0;
export const CUBLAS_OP_T = 1;
export const CUDA_R_32F = 0;
export const CUDA_R_64F = 1;
export const CUDA_R_16BF = 14;
export const CUBLAS_COMPUTE_32F = 68;
export const CUBLAS_COMPUTE_64F = 70;
export const CUBLAS_GEMM_DEFAULT = -1;

const statusNames: Readonly<Record<number, string>> = {
  1: 'CUBLAS_STATUS_NOT_INITIALIZED',
  3: 'CUBLAS_STATUS_ALLOC_FAILED',
  7: 'CUBLAS_STATUS_INVALID_VALUE',
  8: 'CUBLAS_STATUS_ARCH_MISMATCH',
  11: 'CUBLAS_STATUS_MAPPING_ERROR',
  13: 'CUBLAS_STATUS_EXECUTION_FAILED',
  14: 'CUBLAS_STATUS_INTERNAL_ERROR',
  15: 'CUBLAS_STATUS_NOT_SUPPORTED',
};

export type Cublas = Readonly<
  Record<keyof typeof declarations, (...args: readonly unknown[]) => void>
>;

/** @throws Error from koffi when the file cannot be loaded or lacks a function. */
export function loadCublas(path: string): Cublas {
  const library = koffi.load(path);
  const functions = Object.fromEntries(
    Object.entries(declarations).map(([name, declaration]) => [name, library.func(declaration)]),
  ) as unknown as Record<keyof typeof declarations, (...args: readonly unknown[]) => number>;
  return checkAll('cublas', functions, (status) => statusNames[status] ?? `status ${status}`);
}

/**
 * Loads a library that another one needs, so that the loader finds it by its name whatever folder
 * it is in.
 */
export function preload(path: string): void {
  koffi.load(path);
}
