export function addBias(out: Float64Array, bias: Float64Array): Float64Array {
  return out.map((value, i) => value + (bias[i % bias.length] as number));
}
