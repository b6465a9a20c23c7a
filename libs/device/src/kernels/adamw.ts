import { at } from '@emloc/checked';

import { assertCount, assertLive, assertShape } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';

/**
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101), decoupled weight decay, with global-norm
 * clipping: gradients are scaled by min(1, maxGradientNorm / (norm + 1e-6)), norm = sqrt(Σ
 * squaredGradientNorms). All tensors float32, one list entry per parameter.
 */
export interface AdamwOptions {
  readonly parameters: readonly Tensor[];
  readonly gradients: readonly Tensor[];
  readonly firstMoments: readonly Tensor[];
  readonly secondMoments: readonly Tensor[];
  /**
   * Of shape (n): output of `squaredNorms` over all gradients that are clipped together, which are
   * `gradients`, or these and more.
   */
  readonly squaredGradientNorms: Tensor;
  /** Infinity: no clipping. */
  readonly maxGradientNorm: number;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** 1 for the first update. */
  readonly step: number;
}

/** Whose adapters are updated at once: a model has hundreds. */
const probedLayers = 8;

export const adamw: LaunchedKernel<AdamwOptions> = {
  work({ parameters, gradients, firstMoments, secondMoments, squaredGradientNorms }) {
    assertCount('adamw', 'gradients', gradients.length, parameters.length);
    assertCount('adamw', 'firstMoments', firstMoments.length, parameters.length);
    assertCount('adamw', 'secondMoments', secondMoments.length, parameters.length);
    const norms = Math.max(squaredGradientNorms.size, gradients.length);
    assertShape('adamw', squaredGradientNorms, [norms]);
    let elements = 0;
    parameters.forEach((parameter, index) => {
      const state = [gradients, firstMoments, secondMoments].map((list) => at(list, index));
      for (const tensor of state) assertShape('adamw', tensor, parameter.shape);
      assertLive(parameter, ...state);
      elements += parameter.size;
    });
    assertLive(squaredGradientNorms);
    // Reads parameter, gradient and two moments; writes parameter and moments: seven float32 an
    // element.
    return { flops: 12 * elements, bytes: 28 * elements };
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }, { widest, hiddenSize, loraRank }) => {
      const state = () =>
        Array.from({ length: probedLayers }, () => [
          tensor([widest.outFeatures, loraRank], 'float32'),
          tensor([hiddenSize, loraRank], 'float32'),
        ]).flat();
      const options = {
        parameters: state(),
        gradients: state(),
        firstMoments: state(),
        secondMoments: state(),
        squaredGradientNorms: tensor([2 * probedLayers], 'float32'),
        maxGradientNorm: 1,
        learningRate: 0,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0,
        step: 1,
      };
      return { options };
    },
  },
};
