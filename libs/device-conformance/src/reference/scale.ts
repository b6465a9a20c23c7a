/** x (rows, columns) times a factor per row or per column. */
export function scale(
  x: Float64Array,
  factors: Float64Array,
  columns: number,
  along: 'rows' | 'columns',
): Float64Array {
  return x.map(
    (value, i) =>
      value * (factors[along === 'rows' ? Math.floor(i / columns) : i % columns] as number),
  );
}
