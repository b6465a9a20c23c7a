export interface LayerNormParameters {
  readonly weight: Float64Array | null;
  readonly bias: Float64Array | null;
  readonly width: number;
  readonly epsilon: number;
}

/** Rows less their mean, over their standard deviation, times the weight and plus the bias. */
export function layerNorm(
  x: Float64Array,
  { weight, bias, width, epsilon }: LayerNormParameters,
): { out: Float64Array; mean: Float64Array; inverseStd: Float64Array } {
  const mean = new Float64Array(x.length / width);
  const inverseStd = mean.slice();
  const out = new Float64Array(x.length);
  mean.forEach((_, row) => {
    const values = x.subarray(row * width, (row + 1) * width);
    const center = values.reduce((sum, value) => sum + value, 0) / width;
    const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
    const inverse = 1 / Math.sqrt(squares / width + epsilon);
    mean[row] = center;
    inverseStd[row] = inverse;
    values.forEach((value, i) => {
      const normal = (value - center) * inverse;
      out[row * width + i] = normal * (weight?.[i] ?? 1) + (bias?.[i] ?? 0);
    });
  });
  return { out, mean, inverseStd };
}
