/** Rows of x over their root mean square, times offset + weight; and the inverse roots. */
export function rmsNorm(
  x: Float64Array,
  weight: Float64Array,
  epsilon: number,
  offset = 0,
): { out: Float64Array; inverseRms: Float64Array } {
  const width = weight.length;
  const inverseRms = new Float64Array(x.length / width);
  const out = new Float64Array(x.length);
  inverseRms.forEach((_, row) => {
    const values = x.subarray(row * width, (row + 1) * width);
    const inverse =
      1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / width + epsilon);
    inverseRms[row] = inverse;
    values.forEach((value, i) => {
      out[row * width + i] = value * inverse * (offset + (weight[i] as number));
    });
  });
  return { out, inverseRms };
}
