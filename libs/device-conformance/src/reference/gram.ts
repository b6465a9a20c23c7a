import { gemm } from './gemm.js';

/** out + xᵀ x for rows of n. */
export function gram(x: Float64Array, out: Float64Array, n: number): Float64Array {
  const product = gemm(x, x, { m: n, n, k: x.length / n, transposeA: true });
  return product.map((value, i) => value + (out[i] as number));
}
