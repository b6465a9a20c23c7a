/**
 * Σ a[i] b[i] over `count` elements from two places, in float64: four sums side by side, added
 * pairwise at the end.
 */
export function dotProduct(
  a: Float32Array,
  aStart: number,
  b: Float32Array,
  bStart: number,
  count: number,
): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const quads = count - (count % 4);
  let i = 0;
  for (; i < quads; i += 4) {
    s0 += (a[aStart + i] as number) * (b[bStart + i] as number);
    s1 += (a[aStart + i + 1] as number) * (b[bStart + i + 1] as number);
    s2 += (a[aStart + i + 2] as number) * (b[bStart + i + 2] as number);
    s3 += (a[aStart + i + 3] as number) * (b[bStart + i + 3] as number);
  }
  for (; i < count; i += 1) s0 += (a[aStart + i] as number) * (b[bStart + i] as number);
  return s0 + s1 + (s2 + s3);
}

/** Σ a[i] b[i] weight[i], likewise; `a` and `b` from the same place. */
export function weightedDotProduct(
  a: Float32Array,
  b: Float32Array,
  start: number,
  weight: Float64Array,
): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const count = weight.length;
  const quads = count - (count % 4);
  let i = 0;
  for (let j = start; i < quads; i += 4, j += 4) {
    s0 += (a[j] as number) * (b[j] as number) * (weight[i] as number);
    s1 += (a[j + 1] as number) * (b[j + 1] as number) * (weight[i + 1] as number);
    s2 += (a[j + 2] as number) * (b[j + 2] as number) * (weight[i + 2] as number);
    s3 += (a[j + 3] as number) * (b[j + 3] as number) * (weight[i + 3] as number);
  }
  for (; i < count; i += 1)
    s0 += (a[start + i] as number) * (b[start + i] as number) * (weight[i] as number);
  return s0 + s1 + (s2 + s3);
}
