/** One emulated linear layer, as reported. */
export interface EmulatedLayerReport {
  readonly name: string;
  readonly ratio: number;
  readonly rank: number;
  /** sqrt(Σ_{k>r} λ_k / Σ λ_k) over the calibration set */
  readonly relativeError: number;
  /** Whether the Cholesky factorisation failed and eigenvectors took its place. */
  readonly usedFallback: boolean;
}
