import {
  bytesPerElement,
  DeviceError,
  type GemmOptions,
  type GramOptions,
  type OuterProduct,
  type Tensor,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  withScratch,
  type CudaContext,
} from '../context.js';
import {
  CUBLAS_COMPUTE_32F,
  CUBLAS_COMPUTE_64F,
  CUBLAS_GEMM_DEFAULT,
  CUBLAS_OP_N,
  CUBLAS_OP_T,
  CUDA_R_16BF,
  CUDA_R_32F,
  CUDA_R_64F,
} from '../native/cublas.js';
import { fill } from './elementwise.js';

const cudaTypes = { float32: CUDA_R_32F, bfloat16: CUDA_R_16BF, float64: CUDA_R_64F } as const;
type Floating = keyof typeof cudaTypes;
const floating = ['float32', 'bfloat16', 'float64'] as const;
/** Rows of the statistic that gram computes at once. */
const panelRows = 1024;
const threads = 256;

/** Row-major out (m, n) = op(a) op(b), which column-major BLAS sees as outᵀ = op(b)ᵀ op(a)ᵀ. */
export function gemm(context: CudaContext, options: GemmOptions): void {
  const {
    a,
    b,
    out,
    transposeA = false,
    transposeB = false,
    alpha = 1,
    accumulate = false,
  } = options;
  const [[aRows, aColumns], [bRows, bColumns]] = [matrix(a), matrix(b)];
  const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [inner, n] = transposeB ? [bColumns, bRows] : [bRows, bColumns];
  if (inner !== k)
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: gemm: ${a.label} has inner extent ${k}, ${b.label} ${inner}`,
    );
  expectShape('gemm', out, [m, n]);
  const dtype = expectDType('gemm', floating, a, b);
  const outDType = expectDType(
    'gemm',
    dtype === 'bfloat16' ? (['bfloat16', 'float32'] as const) : [dtype],
    out,
  );
  if (m === 0 || n === 0) return;
  if (k === 0) return accumulate ? undefined : fill(context, { out, value: 0 });
  multiply(context, {
    m: n,
    n: m,
    k,
    alpha,
    beta: accumulate ? 1 : 0,
    dtype,
    outDType,
    left: { address: addressOf(context, b), transposed: transposeB, stride: bColumns },
    right: { address: addressOf(context, a), transposed: transposeA, stride: aColumns },
    out: { address: addressOf(context, out), stride: n },
  });
}

/**
 * out += xᵀ x in panels of rows, the part up to the diagonal only, then mirrored. float32 products;
 * sums in float32 inside cuBLAS, or in float64 by a pass over a scratch panel.
 */
export function gram(context: CudaContext, { x, out }: GramOptions): void {
  const [rows, n] = matrix(x);
  expectShape('gram', out, [n, n]);
  const dtype = expectDType('gram', floating, x);
  const outDType = expectDType('gram', ['float32', 'float64'] as const, out);
  if (rows === 0 || n === 0) return;
  const isDirect = outDType === 'float32' || dtype === 'float64';
  for (let first = 0; first < n; first += panelRows) {
    const end = Math.min(first + panelRows, n);
    if (isDirect)
      multiplyPanel(context, x, first, end, {
        address: addressOf(context, out) + first * n * (outDType === 'float32' ? 4 : 8),
        stride: n,
        dtype: outDType,
        beta: 1,
      });
    else accumulatePanel(context, x, out, first, end);
  }
  context.launcher
    .begin()
    .pointer(addressOf(context, out))
    .pointer(n)
    .int32(1)
    .launch('elementwise', `upper_triangle_${outDType}`, {
      grid: [Math.ceil((n * n) / threads)],
      block: threads,
    });
}

/** Scratch bytes of `gram`: one panel of float32 products where the sums are float64. */
export function gramScratchBytes({ x, out }: GramOptions): number {
  const n = out.dim(0);
  return out.dtype === 'float32' || x.dtype === 'float64'
    ? 0
    : roundUp(Math.min(panelRows, n) * n * 4);
}

function accumulatePanel(
  context: CudaContext,
  x: Tensor,
  out: Tensor,
  first: number,
  end: number,
): void {
  const n = out.dim(0);
  withScratch(context, gramScratchBytes({ x, out }), (scratch) => {
    multiplyPanel(context, x, first, end, {
      address: scratch,
      stride: end,
      dtype: 'float32',
      beta: 0,
    });
    const count = (end - first) * end;
    context.launcher
      .begin()
      .pointer(scratch)
      .pointer(addressOf(context, out) + first * n * 8)
      .pointer(end - first)
      .pointer(end)
      .pointer(n)
      .launch('elementwise', 'accumulate_float64', {
        grid: [Math.ceil(count / threads)],
        block: threads,
      });
  });
}

/** An outer product by the library, whatever its shape. */
export function multiplyColumns(
  context: CudaContext,
  { left, leftColumn = 0, leftColumns, right, out, transposeOut, alpha = 1 }: OuterProduct,
): void {
  const [[rows, width], [, columns]] = [matrix(left), matrix(right)];
  if (rows === 0 || columns === 0 || leftColumns === 0) return;
  const dtype = expectDType('outerProducts', floating, left, right);
  const thin = {
    address: addressOf(context, left) + leftColumn * bytesPerElement[left.dtype],
    stride: width,
  };
  const wide = { address: addressOf(context, right), stride: columns };
  const [first, second] = transposeOut ? [thin, wide] : [wide, thin];
  const [m, n] = transposeOut ? [leftColumns, columns] : [columns, leftColumns];
  multiply(context, {
    m,
    n,
    k: rows,
    alpha,
    beta: 1,
    dtype,
    outDType: 'float32',
    left: { ...first, transposed: false },
    right: { ...second, transposed: true },
    out: { address: addressOf(context, out), stride: m },
  });
}

interface PanelTarget {
  readonly address: number;
  readonly stride: number;
  readonly dtype: 'float32' | 'float64';
  readonly beta: number;
}

/** Rows [first, end) of xᵀ x, columns [0, end). */
function multiplyPanel(
  context: CudaContext,
  x: Tensor,
  first: number,
  end: number,
  target: PanelTarget,
): void {
  const [rows, n] = matrix(x);
  const dtype = x.dtype as Floating;
  const address = addressOf(context, x);
  const elementBytes = x.byteLength / x.size;
  multiply(context, {
    m: end,
    n: end - first,
    k: rows,
    alpha: 1,
    beta: target.beta,
    dtype,
    outDType: target.dtype,
    left: { address, transposed: false, stride: n },
    right: { address: address + first * elementBytes, transposed: true, stride: n },
    out: target,
  });
}

/** cuBLAS reads them during the call. */
const scalars32 = { alpha: new Float32Array(1), beta: new Float32Array(1) };
const scalars64 = { alpha: new Float64Array(1), beta: new Float64Array(1) };

interface Operand {
  readonly address: number;
  readonly transposed: boolean;
  /** Elements from one row to the next. */
  readonly stride: number;
}

interface Product {
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

function multiply(
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

function matrix(tensor: Tensor): readonly [number, number] {
  if (tensor.shape.length !== 2) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: ${tensor.label} has shape [${tensor.shape.join(', ')}], expected two dimensions`,
    );
  }
  return [tensor.dim(0), tensor.dim(1)];
}
