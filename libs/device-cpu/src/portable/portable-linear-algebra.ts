import type {
  CpuDescription,
  GramProductOptions,
  LinearAlgebra,
  ProductOptions,
} from '../linear-algebra.js';
import type { Scratch } from '../scratch.js';
import type { WasmKernels } from '../wasm.js';
import { portableCholesky } from './cholesky.js';
import { portableEigh } from './eigh.js';
import { blockedProduct, type BlockKernel } from './gemm.js';
import { portableSolveTriangular } from './solve-triangular.js';

/** Linear algebra without a library, on the calling thread. */
export class PortableLinearAlgebra implements LinearAlgebra {
  readonly description: CpuDescription;
  readonly #single: BlockKernel<Float32Array>;
  readonly #double: BlockKernel<Float64Array>;

  constructor(
    wasm: WasmKernels,
    private readonly scratch: Scratch,
  ) {
    this.description = describePortable(wasm);
    this.#single = {
      elementBytes: 4,
      stripRows: wasm.sgemmStripRows(),
      view: (address, count) => scratch.float32(address, count),
      packRows: wasm.spackRows,
      packColumns: wasm.spackColumns,
      multiplyBlock: wasm.sgemmBlock,
    };
    this.#double = {
      elementBytes: 8,
      stripRows: 4,
      view: (address, count) => scratch.float64(address, count),
      packRows: wasm.dpackRows,
      packColumns: wasm.dpackColumns,
      multiplyBlock: wasm.dgemmBlock,
    };
  }

  sgemm(options: ProductOptions<Float32Array>): void {
    blockedProduct(this.#single, this.scratch, options);
  }

  dgemm(options: ProductOptions<Float64Array>): void {
    blockedProduct(this.#double, this.scratch, options);
  }

  dsyrk({ rows, n, x, out }: GramProductOptions): void {
    const matrix = { data: x, stride: n };
    this.dgemm({
      m: n,
      n,
      k: rows,
      a: matrix,
      b: matrix,
      out: { data: out, stride: n },
      transposeA: true,
      alpha: 1,
      accumulate: true,
    });
  }

  async eigh(a: Float64Array, values: Float64Array): Promise<void> {
    portableEigh(a, values);
  }

  async cholesky(a: Float64Array, n: number): Promise<boolean> {
    return portableCholesky(a, n);
  }

  solveTriangular(x: Float64Array, l: Float64Array, n: number): void {
    portableSolveTriangular(x, l, n);
  }
}

/** Fused products and sums are others in their last bits. */
export function describePortable(wasm: WasmKernels): CpuDescription {
  return {
    library: 'portable',
    version: `portable 0.2.0, ${wasm.isFused() ? 'relaxed SIMD' : 'SIMD'}`,
    threads: 1,
    path: null,
  };
}
