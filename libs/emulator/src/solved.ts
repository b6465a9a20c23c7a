import type { Tensor } from '@emloc/device';

/** Factors that are neither balanced nor rounded yet; owned by the scope that made them. */
export interface Solved {
  /** (out, paddedRank), columns by falling λ, then zero columns. */
  readonly u: Tensor;
  /** (paddedRank, in), likewise. */
  readonly v: Tensor;
  /** The λ of the columns, falling, none below 0. */
  readonly values: readonly number[];
  /** sqrt(Σ_{k>r} λ_k / Σ λ_k) */
  readonly relativeError: number;
  /** The factor whose components have the norm √λ; those of the other have 1, each in its metric. */
  readonly weighted: 'u' | 'v';
  readonly usedFallback: boolean;
}
