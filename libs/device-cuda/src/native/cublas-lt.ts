import { at } from '@emloc/checked';
import koffi from 'koffi';

import { checkAll, type CheckedCalls } from './status.js';

/**
 * cuBLASLt, libcublasLt.so.12 or .13: products with what is done to their results. Column-major; a
 * handle of cuBLAS serves as one of its own. `void *` parameters are typed arrays in host memory.
 */
const declarations = {
  cublasLtMatmulDescCreate:
    'int cublasLtMatmulDescCreate(void *descriptor, int computeType, int scaleType)',
  cublasLtMatmulDescDestroy: 'int cublasLtMatmulDescDestroy(uint64_t descriptor)',
  cublasLtMatmulDescSetAttribute:
    'int cublasLtMatmulDescSetAttribute(uint64_t descriptor, int attribute, void *value, uint64_t bytes)',
  cublasLtMatrixLayoutCreate:
    'int cublasLtMatrixLayoutCreate(void *layout, int type, uint64_t rows, uint64_t columns, int64_t stride)',
  cublasLtMatrixLayoutDestroy: 'int cublasLtMatrixLayoutDestroy(uint64_t layout)',
  cublasLtMatmulPreferenceCreate: 'int cublasLtMatmulPreferenceCreate(void *preference)',
  cublasLtMatmulPreferenceDestroy: 'int cublasLtMatmulPreferenceDestroy(uint64_t preference)',
  cublasLtMatmulPreferenceSetAttribute:
    'int cublasLtMatmulPreferenceSetAttribute(uint64_t preference, int attribute, void *value, uint64_t bytes)',
  cublasLtMatmul:
    'int cublasLtMatmul(uint64_t handle, uint64_t descriptor, void *alpha, uint64_t a, uint64_t aLayout, ' +
    'uint64_t b, uint64_t bLayout, void *beta, uint64_t c, uint64_t cLayout, uint64_t d, uint64_t dLayout, ' +
    'void *algorithm, uint64_t workspace, uint64_t workspaceBytes, uint64_t stream)',
} as const;

/** Its status tells that there is no algorithm, which is no failure. */
const heuristic =
  'int cublasLtMatmulAlgoGetHeuristic(uint64_t handle, uint64_t descriptor, uint64_t a, uint64_t b, uint64_t c, uint64_t d, ' +
  'uint64_t preference, int requested, void *results, void *found)';

export const CUBLASLT_MATMUL_DESC_TRANSA = 3;
export const CUBLASLT_MATMUL_DESC_TRANSB = 4;
export const CUBLASLT_MATMUL_DESC_EPILOGUE = 7;
export const CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8;
export const CUBLASLT_EPILOGUE_BIAS = 4;
export const CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1;
/** Of A; those of B, C and D follow. */
export const CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5;
/** Bytes of a cublasLtMatmulHeuristicResult_t, of which the first 64 are the algorithm. */
export const heuristicResultBytes = 96;
export const algorithmBytes = 64;

export interface CublasLt extends CheckedCalls<keyof typeof declarations> {
  /** Algorithms found, the best first. */
  findAlgorithms(...args: readonly unknown[]): number;
}

/** @throws Error from koffi when the file cannot be loaded or lacks a function. */
export function loadCublasLt(path: string): CublasLt {
  const library = koffi.load(path);
  const functions = Object.fromEntries(
    Object.entries(declarations).map(([name, declaration]) => [name, library.func(declaration)]),
  ) as unknown as Record<keyof typeof declarations, (...args: readonly unknown[]) => number>;
  const find = library.func(heuristic) as (...args: readonly unknown[]) => number;
  return {
    ...checkAll('cublasLt', functions, (status) => `status ${status}`),
    findAlgorithms(...args) {
      const found = new Int32Array(1);
      return find(...args, found) === 0 ? at(found, 0) : 0;
    },
  };
}
