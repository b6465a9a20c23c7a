export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** op(a) · op(b), (m, n). */
export function gemm(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  { m, n, k, transposeA, transposeB }: GemmShape,
): Float64Array {
  const out = new Float64Array(m * n);
  for (let i = 0; i < m; i += 1) {
    for (let j = 0; j < n; j += 1) {
      let sum = 0;
      for (let p = 0; p < k; p += 1) {
        sum +=
          (a[transposeA ? p * m + i : i * k + p] as number) *
          (b[transposeB ? j * k + p : p * n + j] as number);
      }
      out[i * n + j] = sum;
    }
  }
  return out;
}
