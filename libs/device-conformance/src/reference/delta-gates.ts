interface GateInputs {
  /** (rows, heads) */
  readonly a: Float64Array;
  readonly b: Float64Array;
  /** (heads) */
  readonly logDecay: Float64Array;
  readonly offset: Float64Array;
}

/** −exp(logDecay) · log(1 + exp(a + offset)), and 1 / (1 + exp(−b)). */
export function deltaGates({ a, b, logDecay, offset }: GateInputs): {
  decay: Float64Array;
  strength: Float64Array;
} {
  const decay = a.map((value, i) => {
    const head = i % offset.length;
    const sum = value + (offset[head] as number);
    const softplus = sum > 0 ? sum + Math.log1p(Math.exp(-sum)) : Math.log1p(Math.exp(sum));
    return -Math.exp(logDecay[head] as number) * softplus;
  });
  return { decay, strength: b.map((value) => 1 / (1 + Math.exp(-value))) };
}
