import { assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * gate[s, i] = magnitude[i] / ‖w_i‖ − 1, the same for every sequence s: what DoRA (Liu et al.,
 * arXiv 2402.09353) adds to an output, as a share of it. ‖w_i‖ = √width / inverseRms[i], as
 * `rmsNorm` gives it of the rows of a weight; in float32 or better, rounded once.
 */
export interface DoraGateOptions {
  /** (d) float32 */
  readonly magnitude: Tensor;
  /** (d) float32 */
  readonly inverseRms: Tensor;
  /** Columns of the weight. */
  readonly width: number;
  /** (S, d) */
  readonly gate: Tensor;
}

export interface DoraGateBackwardOptions {
  /** (S, d) */
  readonly dGate: Tensor;
  /** (d) float32 */
  readonly inverseRms: Tensor;
  readonly width: number;
  /** (d) float32, added to: Σ dGate[s, i] / ‖w_i‖ over all sequences, in a fixed order. */
  readonly dMagnitude: Tensor;
}

export const doraGate: LaunchedKernel<DoraGateOptions> = {
  work({ magnitude, inverseRms, gate }) {
    const [, columns] = matrix('doraGate', gate);
    for (const tensor of [magnitude, inverseRms]) assertShape('doraGate', tensor, [columns]);
    return streaming(gate, 2, [magnitude, inverseRms, gate]);
  },
};

export const doraGateBackward: LaunchedKernel<DoraGateBackwardOptions> = {
  work({ dGate, inverseRms, dMagnitude }) {
    const [, columns] = matrix('doraGateBackward', dGate);
    for (const tensor of [inverseRms, dMagnitude])
      assertShape('doraGateBackward', tensor, [columns]);
    return streaming(dGate, 2, [dGate, inverseRms, dMagnitude, dMagnitude]);
  },
};
