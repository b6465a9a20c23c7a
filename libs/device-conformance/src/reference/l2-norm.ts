/** Each `width` elements of x times scale over their norm; and the inverse norms. */
export function l2Norm(
  x: Float64Array,
  width: number,
  { epsilon, scale = 1 }: { epsilon: number; scale?: number },
): { out: Float64Array; inverseNorm: Float64Array } {
  const inverseNorm = Float64Array.from({ length: x.length / width }, (_, head) => {
    const values = x.subarray(head * width, (head + 1) * width);
    return 1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) + epsilon);
  });
  const out = x.map((value, i) => value * scale * (inverseNorm[Math.floor(i / width)] as number));
  return { out, inverseNorm };
}
