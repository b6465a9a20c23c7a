import koffi from 'koffi';

import { checkAll } from './status.js';

/**
 * cuSOLVER's dense part, libcusolver.so.11 (CUDA 12) or .12 (CUDA 13). Column-major, as LAPACK is.
 */
const declarations = {
  cusolverDnCreate: 'int cusolverDnCreate(void *handle)',
  cusolverDnDestroy: 'int cusolverDnDestroy(uint64_t handle)',
  cusolverDnSetStream: 'int cusolverDnSetStream(uint64_t handle, uint64_t stream)',
  cusolverDnSsyevd_bufferSize:
    'int cusolverDnSsyevd_bufferSize(uint64_t handle, int job, int triangle, int n, uint64_t a, int lda, uint64_t w, void *elements)',
  cusolverDnDsyevd_bufferSize:
    'int cusolverDnDsyevd_bufferSize(uint64_t handle, int job, int triangle, int n, uint64_t a, int lda, uint64_t w, void *elements)',
  cusolverDnSsyevd:
    'int cusolverDnSsyevd(uint64_t handle, int job, int triangle, int n, uint64_t a, int lda, uint64_t w, uint64_t work, int elements, uint64_t info)',
  cusolverDnDsyevd:
    'int cusolverDnDsyevd(uint64_t handle, int job, int triangle, int n, uint64_t a, int lda, uint64_t w, uint64_t work, int elements, uint64_t info)',
  cusolverDnSpotrf_bufferSize:
    'int cusolverDnSpotrf_bufferSize(uint64_t handle, int triangle, int n, uint64_t a, int lda, void *elements)',
  cusolverDnDpotrf_bufferSize:
    'int cusolverDnDpotrf_bufferSize(uint64_t handle, int triangle, int n, uint64_t a, int lda, void *elements)',
  cusolverDnSpotrf:
    'int cusolverDnSpotrf(uint64_t handle, int triangle, int n, uint64_t a, int lda, uint64_t work, int elements, uint64_t info)',
  cusolverDnDpotrf:
    'int cusolverDnDpotrf(uint64_t handle, int triangle, int n, uint64_t a, int lda, uint64_t work, int elements, uint64_t info)',
} as const;

export const CUSOLVER_EIG_MODE_VECTOR = 1;

const statusNames: Readonly<Record<number, string>> = {
  1: 'CUSOLVER_STATUS_NOT_INITIALIZED',
  2: 'CUSOLVER_STATUS_ALLOC_FAILED',
  3: 'CUSOLVER_STATUS_INVALID_VALUE',
  4: 'CUSOLVER_STATUS_ARCH_MISMATCH',
  6: 'CUSOLVER_STATUS_EXECUTION_FAILED',
  7: 'CUSOLVER_STATUS_INTERNAL_ERROR',
};

export type Cusolver = Readonly<
  Record<keyof typeof declarations, (...args: readonly unknown[]) => void>
>;

/** @throws Error from koffi when the file cannot be loaded or lacks a function. */
export function loadCusolver(path: string): Cusolver {
  const library = koffi.load(path);
  const functions = Object.fromEntries(
    Object.entries(declarations).map(([name, declaration]) => [name, library.func(declaration)]),
  ) as unknown as Record<keyof typeof declarations, (...args: readonly unknown[]) => number>;
  return checkAll('cusolver', functions, (status) => statusNames[status] ?? `status ${status}`);
}
