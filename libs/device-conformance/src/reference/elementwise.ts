export function add(out: Float64Array, x: Float64Array, alpha: number): Float64Array {
  return out.map((value, i) => value + alpha * (x[i] ?? Number.NaN));
}

export function addBias(out: Float64Array, bias: Float64Array): Float64Array {
  return out.map((value, i) => value + (bias[i % bias.length] ?? Number.NaN));
}

/** x (rows, columns) times a factor per row or per column. */
export function scale(
  x: Float64Array,
  factors: Float64Array,
  columns: number,
  along: 'rows' | 'columns',
): Float64Array {
  return x.map(
    (value, i) =>
      value * (factors[along === 'rows' ? Math.floor(i / columns) : i % columns] ?? Number.NaN),
  );
}

export function squaredNorm(x: Float64Array): number {
  return x.reduce((sum, value) => sum + value * value, 0);
}
