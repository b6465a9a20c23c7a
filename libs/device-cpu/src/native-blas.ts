import { DeviceError } from '@emloc/device';

import { resolvedPath, type BlasCandidate } from './find-blas.js';
import type {
  CpuDescription,
  GramProductOptions,
  LinearAlgebra,
  ProductOptions,
} from './linear-algebra.js';
import { cblas, loadBlas, type BlasControls, type BlasFunctions } from './native.js';

/**
 * BLAS and LAPACK of a library. Its thread count is a property of the process, set when this is
 * created.
 */
export class NativeLinearAlgebra implements LinearAlgebra {
  readonly description: CpuDescription;
  readonly #blas: BlasFunctions;

  /**
   * @throws DeviceError DEVICE_UNAVAILABLE when the library does not load or is of the wrong kind
   */
  constructor(candidate: BlasCandidate, threads: number) {
    const { functions, controls } = loadBlas(candidate.paths);
    this.#blas = functions;
    this.description = describe(candidate, controls, threads);
  }

  sgemm(options: ProductOptions<Float32Array>): void {
    const { m, n, k, a, b, out, transposeA, transposeB, alpha, accumulate } = options;
    this.#blas.sgemm(
      cblas.rowMajor,
      transposition(transposeA),
      transposition(transposeB),
      m,
      n,
      k,
      alpha,
      a.data,
      a.stride,
      b.data,
      b.stride,
      accumulate ? 1 : 0,
      out.data,
      out.stride,
    );
  }

  dgemm(options: ProductOptions<Float64Array>): void {
    const { m, n, k, a, b, out, transposeA, transposeB, alpha, accumulate } = options;
    this.#blas.dgemm(
      cblas.rowMajor,
      transposition(transposeA),
      transposition(transposeB),
      m,
      n,
      k,
      alpha,
      a.data,
      a.stride,
      b.data,
      b.stride,
      accumulate ? 1 : 0,
      out.data,
      out.stride,
    );
  }

  dsyrk({ rows, n, x, out }: GramProductOptions): void {
    this.#blas.dsyrk(cblas.rowMajor, cblas.upper, cblas.transpose, n, rows, 1, x, n, 1, out, n);
  }

  async eigh(a: Float64Array, values: Float64Array): Promise<void> {
    const n = values.length;
    // The minimum that LAPACK documents for dsyevd with vectors is what its implementations use.
    const info = await this.#blas.dsyevd(
      n,
      a,
      values,
      new Float64Array(eighWorkElements(n)),
      new Int32Array(3 + 5 * n),
    );
    if (info !== 0)
      throw new DeviceError(
        'DEVICE_NATIVE_FAILURE',
        `dsyevd of a ${n} x ${n} matrix ended with info ${info}`,
      );
  }

  async cholesky(a: Float64Array, n: number): Promise<boolean> {
    const info = await this.#blas.dpotrf(n, a);
    if (info < 0)
      throw new DeviceError(
        'DEVICE_NATIVE_FAILURE',
        `dpotrf of a ${n} x ${n} matrix ended with info ${info}`,
      );
    return info === 0;
  }

  solveTriangular(x: Float64Array, l: Float64Array, n: number): void {
    const { rowMajor, right, lower, transpose, nonUnit } = cblas;
    const rows = x.length / n;
    this.#blas.dtrsm(rowMajor, right, lower, transpose, nonUnit, rows, n, 1, l, n, x, n);
  }
}

/** Elements of dsyevd's float64 workspace. */
export function eighWorkElements(n: number): number {
  return 1 + 6 * n + 2 * n * n;
}

function transposition(transpose: boolean | undefined): number {
  return transpose ? cblas.transpose : cblas.noTranspose;
}

function describe(
  candidate: BlasCandidate,
  controls: BlasControls,
  threads: number,
): CpuDescription {
  const version = controls.getConfig?.().trim() ?? 'unknown';
  if (version.includes('USE64BITINT')) {
    throw new DeviceError(
      'DEVICE_UNAVAILABLE',
      `cpu device: ${candidate.paths.join(', ')} has 64-bit integers, 32-bit ones are needed`,
    );
  }
  controls.setThreads?.(threads);
  return {
    library: candidate.library,
    version,
    threads: controls.getThreads?.() ?? 1,
    path: resolvedPath(candidate),
  };
}
