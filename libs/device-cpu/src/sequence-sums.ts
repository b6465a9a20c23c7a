/**
 * out[s, :] = Σ a · b over the rows of each sequence, of Σ a where there is no b; in float64, row by
 * row. `out` is (sequences, width).
 */
export function sumBySequence(
  a: Float32Array,
  b: Float32Array | null,
  offsets: readonly number[],
  out: Float32Array,
): void {
  const width = offsets.length > 1 ? out.length / (offsets.length - 1) : 0;
  const sums = new Float64Array(width);
  for (let s = 1; s < offsets.length; s += 1) {
    sums.fill(0);
    for (let row = offsets[s - 1] as number; row < (offsets[s] as number); row += 1) {
      if (b) addProducts(sums, a, b, row * width);
      else addRow(sums, a, row * width);
    }
    out.set(sums, (s - 1) * width);
  }
}

function addProducts(sums: Float64Array, a: Float32Array, b: Float32Array, start: number): void {
  for (let i = 0, j = start; i < sums.length; i += 1, j += 1)
    sums[i] = (sums[i] as number) + (a[j] as number) * (b[j] as number);
}

function addRow(sums: Float64Array, a: Float32Array, start: number): void {
  for (let i = 0, j = start; i < sums.length; i += 1, j += 1)
    sums[i] = (sums[i] as number) + (a[j] as number);
}
