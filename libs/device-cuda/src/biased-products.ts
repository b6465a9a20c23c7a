import type { Product } from './multiply.js';
import {
  algorithmBytes,
  CUBLASLT_EPILOGUE_BIAS,
  CUBLASLT_MATMUL_DESC_BIAS_POINTER,
  CUBLASLT_MATMUL_DESC_EPILOGUE,
  CUBLASLT_MATMUL_DESC_TRANSA,
  CUBLASLT_MATMUL_DESC_TRANSB,
  CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
  heuristicResultBytes,
  type CublasLt,
} from './native/cublas-lt.js';
import {
  CUBLAS_COMPUTE_32F,
  CUBLAS_OP_N,
  CUBLAS_OP_T,
  CUDA_R_16BF,
  CUDA_R_32F,
} from './native/cublas.js';
import { Cell } from './native/status.js';
import type { Streams } from './streams.js';

const types = { float32: CUDA_R_32F, bfloat16: CUDA_R_16BF } as const;
/** Plans are made anew when there would be more: rows of texts have many lengths. */
const mostPlans = 512;
/** What the library takes an address to be a multiple of, at most. */
const mostAlignment = 256;

/** A product of float32 or bfloat16 matrices, plus a bias of the result's dtype. */
export interface BiasedProduct extends Product {
  readonly dtype: 'float32' | 'bfloat16';
  readonly outDType: 'float32' | 'bfloat16';
  /** Address of n elements, as the row-major result counts. */
  readonly bias: number;
}

/** How the library does products of one kind. */
interface Plan {
  readonly descriptor: number;
  readonly layouts: readonly [left: number, right: number, out: number];
  /** Null: it has no way. */
  readonly algorithm: Uint8Array | null;
}

interface Parts {
  readonly calls: CublasLt;
  /** Of cuBLAS. */
  readonly handle: number;
  /** The one that cuBLAS has: both are used in the order of the compute stream. */
  readonly workspace: { readonly address: number; readonly bytes: number };
  readonly streams: Streams;
}

/** Products whose results get a bias as they are written, in place of a pass over them. */
export class BiasedProducts {
  readonly #plans = new Map<string, Plan>();
  readonly #scalars = { alpha: new Float32Array(1), beta: new Float32Array(1) };
  readonly #bias = new BigUint64Array(1);

  constructor(private readonly parts: Parts) {}

  /** @returns false where the library cannot do it; then nothing was launched */
  launch(product: BiasedProduct): boolean {
    const { calls, handle, workspace, streams } = this.parts;
    const { descriptor, layouts, algorithm } = this.#plan(product);
    if (!algorithm) return false;
    const [left, right, out] = layouts;
    this.#bias[0] = BigInt(product.bias);
    calls.cublasLtMatmulDescSetAttribute(
      descriptor,
      CUBLASLT_MATMUL_DESC_BIAS_POINTER,
      this.#bias,
      8,
    );
    this.#scalars.alpha[0] = product.alpha;
    this.#scalars.beta[0] = product.beta;
    calls.cublasLtMatmul(
      handle,
      descriptor,
      this.#scalars.alpha,
      product.left.address,
      left,
      product.right.address,
      right,
      this.#scalars.beta,
      product.out.address,
      out,
      product.out.address,
      out,
      algorithm,
      workspace.address,
      workspace.bytes,
      streams.launchHandleOf('compute'),
    );
    streams.advance('compute');
    return true;
  }

  close(): void {
    const { calls } = this.parts;
    for (const { descriptor, layouts } of this.#plans.values()) {
      calls.cublasLtMatmulDescDestroy(descriptor);
      for (const layout of layouts) calls.cublasLtMatrixLayoutDestroy(layout);
    }
    this.#plans.clear();
  }

  #plan(product: BiasedProduct): Plan {
    const key = keyOf(product);
    const known = this.#plans.get(key);
    if (known) return known;
    if (this.#plans.size >= mostPlans) this.close();
    const plan = this.#createPlan(product);
    this.#plans.set(key, plan);
    return plan;
  }

  #createPlan(product: BiasedProduct): Plan {
    const { m, n, k, dtype, outDType, left, right, out } = product;
    const descriptor = this.#describe(product);
    const type = types[dtype];
    const layouts = [
      this.#layout(type, left.transposed ? [k, m] : [m, k], left.stride),
      this.#layout(type, right.transposed ? [n, k] : [k, n], right.stride),
      this.#layout(types[outDType], [m, n], out.stride),
    ] as const;
    return { descriptor, layouts, algorithm: this.#find(product, descriptor, layouts) };
  }

  #describe({ left, right }: BiasedProduct): number {
    const { calls } = this.parts;
    const cell = new Cell();
    calls.cublasLtMatmulDescCreate(cell.raw, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    const set = (attribute: number, value: number): void =>
      calls.cublasLtMatmulDescSetAttribute(cell.value, attribute, Int32Array.of(value), 4);
    set(CUBLASLT_MATMUL_DESC_TRANSA, left.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, right.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    return cell.value;
  }

  #layout(type: number, [rows, columns]: readonly [number, number], stride: number): number {
    const cell = new Cell();
    this.parts.calls.cublasLtMatrixLayoutCreate(cell.raw, type, rows, columns, stride);
    return cell.value;
  }

  /** The library's first choice, which shapes and alignments decide. */
  #find(
    { left, right, out, bias }: BiasedProduct,
    descriptor: number,
    [a, b, d]: Plan['layouts'],
  ): Uint8Array | null {
    const { calls, handle, workspace } = this.parts;
    const cell = new Cell();
    calls.cublasLtMatmulPreferenceCreate(cell.raw);
    const preference = cell.value;
    try {
      const bytes = BigUint64Array.of(BigInt(workspace.bytes));
      calls.cublasLtMatmulPreferenceSetAttribute(
        preference,
        CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
        bytes,
        8,
      );
      [left, right, out, out].forEach(({ address }, index) =>
        calls.cublasLtMatmulPreferenceSetAttribute(
          preference,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES + index,
          Uint32Array.of(alignmentOf(address)),
          4,
        ),
      );
      // The choice may look at where the bias lies.
      const place = BigUint64Array.of(BigInt(bias));
      calls.cublasLtMatmulDescSetAttribute(descriptor, CUBLASLT_MATMUL_DESC_BIAS_POINTER, place, 8);
      const results = new Uint8Array(heuristicResultBytes);
      const found = calls.findAlgorithms(handle, descriptor, a, b, d, d, preference, 1, results);
      return found > 0 ? results.slice(0, algorithmBytes) : null;
    } finally {
      calls.cublasLtMatmulPreferenceDestroy(preference);
    }
  }
}

/** The largest power of two that divides the address. */
function alignmentOf(address: number): number {
  let alignment = 1;
  while (alignment < mostAlignment && address % (2 * alignment) === 0) alignment *= 2;
  return alignment;
}

function keyOf({ m, n, k, beta, dtype, outDType, left, right, out, bias }: BiasedProduct): string {
  const places = [left, right, out, { address: bias }].map(({ address }) => alignmentOf(address));
  const transposed = [left, right].map((operand) => (operand.transposed ? 't' : 'n')).join('');
  const strides = `${left.stride} ${right.stride} ${out.stride}`;
  return `${m} ${n} ${k} ${beta} ${dtype} ${outDType} ${transposed} ${strides} ${places.join(' ')}`;
}
