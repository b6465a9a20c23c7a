import { at } from '@emloc/checked';

import { assertCount, assertLive, assertShape } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';

/**
 * The first half of a step of Prodigy (Mishchenko and Defazio, arXiv 2306.06101): with the clipped
 * gradient g (see `adamw`), parameters θ, their starts θ0, the distance d and its first value d0,
 *
 *     m ← β1 m + (1 − β1) d g     v ← β2 v + (1 − β2) d² g²     s ← √β2 s + d² / d0 · g
 *
 * and what the next distance is estimated from: Σ g (θ0 − θ) and, after that, Σ |s| of each
 * parameter, in a fixed order. All tensors float32, one list entry per parameter.
 */
export interface ProdigyMomentsOptions {
  readonly parameters: readonly Tensor[];
  readonly gradients: readonly Tensor[];
  readonly starts: readonly Tensor[];
  readonly firstMoments: readonly Tensor[];
  readonly secondMoments: readonly Tensor[];
  /** s */
  readonly gradientSums: readonly Tensor[];
  /** Output of `squaredNorms` over `gradients`. */
  readonly squaredGradientNorms: Tensor;
  /** Infinity: no clipping. */
  readonly maxGradientNorm: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly distance: number;
  readonly firstDistance: number;
  /** (parameters.length): Σ g (θ0 − θ) */
  readonly alignments: Tensor;
  /** (parameters.length): Σ |s| */
  readonly magnitudes: Tensor;
}

export const prodigyMoments: LaunchedKernel<ProdigyMomentsOptions> = {
  work(options) {
    const { parameters, squaredGradientNorms, alignments, magnitudes } = options;
    const { gradients, starts, firstMoments, secondMoments, gradientSums } = options;
    const lists = { gradients, starts, firstMoments, secondMoments, gradientSums };
    for (const [name, list] of Object.entries(lists)) {
      assertCount('prodigyMoments', name, list.length, parameters.length);
      parameters.forEach(({ shape }, i) => assertShape('prodigyMoments', at(list, i), shape));
      assertLive(...list);
    }
    for (const tensor of [squaredGradientNorms, alignments, magnitudes])
      assertShape('prodigyMoments', tensor, [parameters.length]);
    assertLive(...parameters, squaredGradientNorms, alignments, magnitudes);
    const elements = parameters.reduce((sum, { size }) => sum + size, 0);
    // Reads six float32 an element, writes three.
    return { flops: 16 * elements, bytes: 36 * elements };
  },
};
