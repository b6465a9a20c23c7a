export function add(out: Float64Array, x: Float64Array, alpha: number): Float64Array {
  return out.map((value, i) => value + alpha * (x[i] as number));
}
