/** magnitude / ‖w‖ − 1 of each column, in `rows` equal rows. */
export function doraGate(
  magnitude: Float64Array,
  inverseRms: Float64Array,
  { rows, width }: { readonly rows: number; readonly width: number },
): Float64Array {
  const row = magnitude.map((value, i) => {
    const norm = Math.sqrt(width) / (inverseRms[i] as number);
    return value / norm - 1;
  });
  return Float64Array.from({ length: rows * row.length }, (_, j) => row[j % row.length] as number);
}
