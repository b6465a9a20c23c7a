import { DeviceError } from '@emloc/device';

import { defaultThreads } from './default-threads.js';
import { blasCandidates, explicitCandidate } from './find-blas.js';
import type { CpuDescription, LinearAlgebra } from './linear-algebra.js';
import { NativeLinearAlgebra } from './native-blas.js';
import { describePortable, PortableLinearAlgebra } from './portable/portable-linear-algebra.js';
import type { Scratch } from './scratch.js';
import { instantiateKernels, type WasmKernels } from './wasm.js';

export interface CpuOptions {
  /**
   * 'auto' (the default): `EMLOC_BLAS_PATH`, else the first library found, else the portable code.
   * 'portable': no library. Anything else is the path of a library, or of BLAS and LAPACK separated
   * as in PATH.
   */
  readonly blas?: 'auto' | 'portable' | (string & {});
  /**
   * Threads of the library, by default `OMP_NUM_THREADS`, else as many as the process may use. The
   * portable code runs on one.
   */
  readonly threads?: number;
  /**
   * Whether the portable code multiplies with WebAssembly's relaxed SIMD, which rounds a product
   * and its sum as one. Default: where engine and processor do (Node 22; Node 20 with
   * `--experimental-wasm-relaxed-simd`).
   */
  readonly relaxedSimd?: boolean;
}

/**
 * @throws DeviceError DEVICE_UNAVAILABLE when a library was named, by option or environment, and
 * cannot be used, or relaxed SIMD was asked for and is not here
 */
export function createLinearAlgebra(
  options: CpuOptions,
  wasm: WasmKernels,
  scratch: Scratch,
): LinearAlgebra {
  return openNative(options) ?? new PortableLinearAlgebra(wasm, scratch);
}

/** Who would do the linear algebra with these options. @throws as `createLinearAlgebra` */
export function describeCpu(options: CpuOptions = {}): CpuDescription {
  return (
    openNative(options)?.description ?? describePortable(instantiateKernels(options.relaxedSimd))
  );
}

function openNative({
  blas = 'auto',
  threads = defaultThreads(),
}: CpuOptions): NativeLinearAlgebra | null {
  if (blas === 'portable') return null;
  if (blas !== 'auto') return new NativeLinearAlgebra(explicitCandidate(blas), threads);
  const isChosen = Boolean(process.env.EMLOC_BLAS_PATH);
  for (const candidate of blasCandidates()) {
    try {
      return new NativeLinearAlgebra(candidate, threads);
    } catch (error) {
      // Only a library that nobody named may be missing.
      if (isChosen || !(error instanceof DeviceError)) throw error;
    }
  }
  return null;
}
