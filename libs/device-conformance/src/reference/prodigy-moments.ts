export interface ProdigyParameter {
  readonly value: Float64Array;
  readonly start: Float64Array;
  readonly gradient: Float64Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
  readonly sum: Float64Array;
}

export interface ProdigySettings {
  readonly maxGradientNorm: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly distance: number;
  readonly firstDistance: number;
}

export interface ProdigyMoments {
  readonly first: Float64Array;
  readonly second: Float64Array;
  readonly sum: Float64Array;
  /** Σ g (θ0 − θ) */
  readonly alignment: number;
  /** Σ |s| */
  readonly magnitude: number;
}

/** What becomes of each parameter's moments and sums (Mishchenko and Defazio, arXiv 2306.06101). */
export function prodigyMoments(
  parameters: readonly ProdigyParameter[],
  settings: ProdigySettings,
): ProdigyMoments[] {
  const { maxGradientNorm, beta1, beta2, distance: d, firstDistance } = settings;
  const all = parameters.flatMap(({ gradient }) => [...gradient]);
  const norm = Math.sqrt(all.reduce((sum, g) => sum + g * g, 0));
  const clip = Math.min(1, maxGradientNorm / (norm + 1e-6));
  return parameters.map(({ value, start, gradient, first, second, sum }) => {
    const g = gradient.map((each) => each * clip);
    const of = (values: Float64Array, i: number): number => values[i] as number;
    const sums = sum.map((s, i) => Math.sqrt(beta2) * s + (d * d * of(g, i)) / firstDistance);
    return {
      first: first.map((m, i) => beta1 * m + (1 - beta1) * d * of(g, i)),
      second: second.map((v, i) => beta2 * v + (1 - beta2) * (d * of(g, i)) ** 2),
      sum: sums,
      alignment: g.reduce((total, each, i) => total + each * (of(start, i) - of(value, i)), 0),
      magnitude: sums.reduce((total, s) => total + Math.abs(s), 0),
    };
  });
}
