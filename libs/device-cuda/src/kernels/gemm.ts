import { DeviceError, type GemmOptions, type Tensor } from '@emloc/device';

import { addressOf, expectDType, expectShape, type CudaContext } from '../context.js';
import { floating, matrix, multiply, type Product } from '../multiply.js';
import { addBias } from './add-bias.js';
import { fill } from './fill.js';

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
    bias,
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
  if (bias) expectShape('gemm', bias, [n]);
  if (k === 0) {
    if (!accumulate) fill(context, { out, value: 0 });
    if (bias) addBias(context, { bias, out });
    return;
  }
  const product: Product = {
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
  };
  if (bias) multiplyWithBias(context, product, { bias, out });
  else multiply(context, product);
}

/** In one launch where the library can. */
function multiplyWithBias(
  context: CudaContext,
  product: Product,
  { bias, out }: { readonly bias: Tensor; readonly out: Tensor },
): void {
  const { dtype, outDType } = product;
  const isDone =
    dtype !== 'float64' &&
    outDType !== 'float64' &&
    bias.dtype === outDType &&
    context.biasedProducts.launch({
      ...product,
      ...{ dtype, outDType, bias: addressOf(context, bias) },
    });
  if (isDone) return;
  multiply(context, product);
  addBias(context, { bias, out });
}
