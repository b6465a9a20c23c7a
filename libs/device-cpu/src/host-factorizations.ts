import { createLinearAlgebra, type CpuOptions } from './create-linear-algebra.js';
import type { LinearAlgebra } from './linear-algebra.js';
import { Scratch } from './scratch.js';
import { instantiateKernels } from './wasm.js';

/** Factorisations of float64 matrices in host memory, for devices that have none of their own. */
export type HostFactorizations = Pick<LinearAlgebra, 'eigh' | 'cholesky' | 'solveTriangular'>;

/**
 * LAPACK where it is found, else the portable code.
 * @throws DeviceError DEVICE_UNAVAILABLE when the library that was asked for cannot be had
 */
export function hostFactorizations(options: CpuOptions = {}): HostFactorizations {
  const wasm = instantiateKernels(options.relaxedSimd);
  return createLinearAlgebra(options, wasm, new Scratch(wasm));
}
