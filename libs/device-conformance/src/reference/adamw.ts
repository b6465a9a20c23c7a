export interface AdamwParameter {
  readonly value: Float64Array;
  readonly gradient: Float64Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
}

export interface AdamwSettings {
  readonly maxGradientNorm: number;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly step: number;
}

/**
 * One update with decoupled weight decay after clipping to the global norm (Loshchilov and Hutter,
 * algorithm 2).
 */
export function adamw(
  parameters: readonly AdamwParameter[],
  settings: AdamwSettings,
): AdamwParameter[] {
  const { maxGradientNorm, learningRate, beta1, beta2, epsilon, weightDecay, step } = settings;
  const norm = Math.sqrt(
    parameters.reduce((sum, { gradient }) => sum + gradient.reduce((all, g) => all + g * g, 0), 0),
  );
  const clip = Math.min(1, maxGradientNorm / (norm + 1e-6));
  return parameters.map(({ value, gradient, first, second }) => {
    const clipped = gradient.map((g) => g * clip);
    const m = first.map((old, i) => beta1 * old + (1 - beta1) * (clipped[i] as number));
    const v = second.map((old, i) => beta2 * old + (1 - beta2) * (clipped[i] as number) ** 2);
    const updated = value.map((old, i) => {
      const mean = (m[i] as number) / (1 - beta1 ** step);
      const variance = (v[i] as number) / (1 - beta2 ** step);
      return old - learningRate * (mean / (Math.sqrt(variance) + epsilon) + weightDecay * old);
    });
    return { value: updated, gradient, first: m, second: v };
  });
}
