/** Rows y of `x` (rows, n) become y L⁻ᵀ by forward substitution, `l` (n, n) lower triangular. */
export function portableSolveTriangular(x: Float64Array, l: Float64Array, n: number): void {
  for (let row = 0; row < x.length; row += n) {
    for (let i = 0; i < n; i += 1) {
      let sum = x[row + i] as number;
      for (let k = 0; k < i; k += 1) sum -= (x[row + k] as number) * (l[i * n + k] as number);
      x[row + i] = sum / (l[i * n + i] as number);
    }
  }
}
