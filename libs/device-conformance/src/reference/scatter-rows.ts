/** `out` with rows[i] replaced by row i of x. */
export function scatterRows(
  x: Float64Array,
  rows: readonly number[],
  out: Float64Array,
  width: number,
): Float64Array {
  const result = out.slice();
  rows.forEach((row, i) => result.set(x.subarray(i * width, (i + 1) * width), row * width));
  return result;
}
