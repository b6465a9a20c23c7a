/** One emulated linear layer, as reported. */
export interface EmulatedLayerReport {
  readonly name: string;
  readonly ratio: number;
  readonly rank: number;
  /** sqrt(Σ_{k>r} λ_k / Σ λ_k) over the calibration set */
  readonly relativeError: number;
  /** Who found the factors: `full`, `float32` or `subspace`; see `Solver`. */
  readonly solver: string;
  /** Whether a safer way had to be taken; see `Factors`. */
  readonly usedFallback: boolean;
}
