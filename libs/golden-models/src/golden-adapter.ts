/** Rank and alpha of the LoRA that goldens are measured with, on every linear layer. */
export const goldenRank = 4;
export const goldenAlpha = 8;

export interface GoldenAdapter {
  /** (rank, inFeatures) */
  readonly a: Float32Array;
  /** (outFeatures, rank) */
  readonly b: Float32Array;
}

/** The LoRA of a layer of these widths when gradients are taken; both factors are row-major. */
export function goldenAdapter(inFeatures: number, outFeatures: number): GoldenAdapter {
  const scale = 1 / Math.sqrt(inFeatures);
  return {
    a: Float32Array.from(
      { length: goldenRank * inFeatures },
      (_, index) => Math.sin(0.37 * index) * scale,
    ),
    b: Float32Array.from(
      { length: outFeatures * goldenRank },
      (_, index) => 0.02 * Math.cos(0.73 * index),
    ),
  };
}
