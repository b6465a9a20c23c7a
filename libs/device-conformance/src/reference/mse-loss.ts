/** The mean of squared differences of each row, times its weight. */
export function mseLoss(
  prediction: Float64Array,
  target: Float64Array,
  width: number,
  weights?: Float64Array,
): Float64Array {
  return Float64Array.from({ length: prediction.length / width }, (_, row) => {
    let sum = 0;
    for (let i = row * width; i < (row + 1) * width; i += 1)
      sum += ((prediction[i] as number) - (target[i] as number)) ** 2;
    return ((weights?.[row] ?? 1) * sum) / width;
  });
}
