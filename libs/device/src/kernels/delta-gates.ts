import { assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * What a gated delta rule does at each row, from two projections of it: decay = −exp(logDecay) ·
 * softplus(a + offset), the logarithm of what is left of the state, and strength = σ(b), the share
 * of what is written. In float32 or better.
 */
export interface DeltaGatesOptions {
  /** (N, heads), compute dtype */
  readonly a: Tensor;
  readonly b: Tensor;
  /** (heads), compute dtype or float32 */
  readonly logDecay: Tensor;
  /** (heads), dtype of logDecay */
  readonly offset: Tensor;
  /** (N, heads) float32, each ≤ 0 */
  readonly decay: Tensor;
  /** (N, heads) float32 */
  readonly strength: Tensor;
}

/** dA and dB of deltaGates; logDecay and offset are frozen and have none. */
export interface DeltaGatesBackwardOptions extends Omit<DeltaGatesOptions, 'decay' | 'strength'> {
  /** (N, heads) float32 */
  readonly dDecay: Tensor;
  readonly dStrength: Tensor;
  /** (N, heads), compute dtype, overwritten. */
  readonly dA: Tensor;
  readonly dB: Tensor;
}

export const deltaGates: LaunchedKernel<DeltaGatesOptions> = {
  work({ a, b, logDecay, offset, decay, strength }) {
    const [, heads] = matrix('deltaGates', a);
    for (const tensor of [b, decay, strength]) assertShape('deltaGates', tensor, a.shape);
    for (const tensor of [logDecay, offset]) assertShape('deltaGates', tensor, [heads]);
    return streaming(a, 16, [a, b, logDecay, offset, decay, strength]);
  },
};

export const deltaGatesBackward: LaunchedKernel<DeltaGatesBackwardOptions> = {
  work({ a, b, logDecay, offset, dDecay, dStrength, dA, dB }) {
    const [, heads] = matrix('deltaGatesBackward', a);
    const gradients = [dDecay, dStrength, dA, dB];
    for (const tensor of [b, ...gradients]) assertShape('deltaGatesBackward', tensor, a.shape);
    for (const tensor of [logDecay, offset]) assertShape('deltaGatesBackward', tensor, [heads]);
    return streaming(a, 16, [a, b, logDecay, offset, ...gradients]);
  },
};
