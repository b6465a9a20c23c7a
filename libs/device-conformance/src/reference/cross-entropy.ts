export interface CrossEntropySettings {
  readonly logitScale?: number;
  readonly softCap?: number;
}

/**
 * −log softmax[target] of every row, its logits scaled and capped, and the smallest index of its
 * largest scaled logit. A target of −1: a loss of 0.
 */
export function crossEntropy(
  logits: Float64Array,
  targets: readonly number[],
  { logitScale = 1, softCap }: CrossEntropySettings = {},
): { loss: number[]; prediction: number[] } {
  const width = logits.length / targets.length;
  const rows = targets.map((target, row) => {
    const scaled = logits.slice(row * width, (row + 1) * width).map((value) => logitScale * value);
    const prediction = scaled.indexOf(largestOf(scaled));
    const values =
      softCap === undefined ? scaled : scaled.map((value) => softCap * Math.tanh(value / softCap));
    const largest = largestOf(values);
    const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
    if (target < 0) return { loss: 0, prediction };
    return { loss: Math.log(sum) + largest - (values[target] as number), prediction };
  });
  return {
    loss: rows.map(({ loss }) => loss),
    prediction: rows.map(({ prediction }) => prediction),
  };
}

function largestOf(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
}
