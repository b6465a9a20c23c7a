export function scaleBy(x: Float64Array, factor: number): Float64Array {
  return x.map((value) => factor * value);
}
