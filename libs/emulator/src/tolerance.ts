/**
 * How far above the least possible the squared error of factors in float32 may be: a thousandth of
 * it, and 1e-5 of all that there is (ALGORITHM.md, section 2).
 * @param total Σ λ
 * @param captured Σ λ of what factors keep
 */
export function missedTolerance(total: number, captured: number): number {
  return 1e-3 * Math.max(0, total - captured) + 1e-5 * total;
}
