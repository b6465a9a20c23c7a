/** Rows of a (V, width) table. */
export function gatherRows(table: Float64Array, rows: readonly number[], width: number): number[] {
  return rows.flatMap((row) => Array.from(table.subarray(row * width, (row + 1) * width)));
}
