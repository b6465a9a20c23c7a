/** −log softmax[target] of every row, and the smallest index of its largest logit. */
export function crossEntropy(
  logits: Float64Array,
  targets: readonly number[],
): { loss: number[]; prediction: number[] } {
  const width = logits.length / targets.length;
  const rows = targets.map((target, row) => {
    const values = logits.subarray(row * width, (row + 1) * width);
    const largest = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
    return {
      loss: Math.log(sum) + largest - (values[target] as number),
      prediction: values.indexOf(largest),
    };
  });
  return {
    loss: rows.map(({ loss }) => loss),
    prediction: rows.map(({ prediction }) => prediction),
  };
}
