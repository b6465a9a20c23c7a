/** Elements of matrices. */
export type Elements = Float32Array | Float64Array;

/** A dense row-major matrix: element (i, j) is data[i · stride + j]. */
export interface Matrix<T> {
  readonly data: T;
  readonly stride: number;
}

/**
 * out (m, n) = alpha · op(a) · op(b), added to out when `accumulate`; k is the inner extent, and
 * positive.
 */
export interface ProductOptions<T> {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Matrix<T>;
  readonly b: Matrix<T>;
  readonly out: Matrix<T>;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha: number;
  readonly accumulate: boolean;
}

/** out (n, n) += xᵀ x, at least on and above the diagonal. */
export interface GramProductOptions {
  readonly rows: number;
  readonly n: number;
  readonly x: Float64Array;
  readonly out: Float64Array;
}

/** What a BLAS and LAPACK give, or the portable code in their place. */
export interface LinearAlgebra {
  readonly description: CpuDescription;
  sgemm(options: ProductOptions<Float32Array>): void;
  dgemm(options: ProductOptions<Float64Array>): void;
  dsyrk(options: GramProductOptions): void;
  /**
   * Symmetric `a` (n, n) becomes its eigenvectors as rows, `values` (n) their eigenvalues,
   * ascending.
   */
  eigh(a: Float64Array, values: Float64Array): Promise<void>;
  /**
   * On and below the diagonal `a` becomes L, a = L Lᵀ. Resolves to false when `a` is not positive
   * definite.
   */
  cholesky(a: Float64Array, n: number): Promise<boolean>;
  /** x (rows, n) becomes x L⁻ᵀ; of `l` (n, n) what is above the diagonal is not read. */
  solveTriangular(x: Float64Array, l: Float64Array, n: number): void;
}

/** Who does the linear algebra: results are equal for equal descriptions, `path` apart. */
export interface CpuDescription {
  readonly library: 'openblas' | 'mkl' | 'blis' | 'accelerate' | 'blas' | 'portable';
  /**
   * As the library tells it, processor kernels included; this package's version for the portable
   * code, and which SIMD its WebAssembly has.
   */
  readonly version: string;
  readonly threads: number;
  /** File of the library; null for the portable code. */
  readonly path: string | null;
}
