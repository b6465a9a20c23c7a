export function add(out: Float64Array, x: Float64Array, alpha: number): Float64Array {
  return out.map((value, i) => value + alpha * (x[i] as number));
}

export function addBias(out: Float64Array, bias: Float64Array): Float64Array {
  return out.map((value, i) => value + (bias[i % bias.length] as number));
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
      value * (factors[along === 'rows' ? Math.floor(i / columns) : i % columns] as number),
  );
}

export function squaredNorm(x: Float64Array): number {
  return x.reduce((sum, value) => sum + value * value, 0);
}
