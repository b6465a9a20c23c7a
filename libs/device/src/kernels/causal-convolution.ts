import { assertSequences, assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { SequenceLayout } from '../sequence-layout.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * A causal convolution of each channel with taps of its own, within each sequence: out[t] =
 * silu(Σ_j weight[:, j] ⊙ x[t − (taps − 1) + j]), so that the last tap meets the present row. Sums
 * and silu in float32 or better, rounded once.
 */
export interface CausalConvolutionOptions {
  /** (N, c) */
  readonly x: Tensor;
  /** (c, taps), dtype of x */
  readonly weight: Tensor;
  readonly sequences: SequenceLayout;
  /** (S, taps − 1, c), dtype of x: the rows before each sequence's first. Default: zeros. */
  readonly initialRows?: Tensor;
  /**
   * (S, taps − 1, c), overwritten: the last rows of each sequence, those of `initialRows` before
   * it included. May be `initialRows`.
   */
  readonly finalRows?: Tensor;
  /** (N, c). Not `x`. */
  readonly out: Tensor;
}

/** dX of causalConvolution without initial rows; the weight is frozen and has none. */
export interface CausalConvolutionBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly sequences: SequenceLayout;
  /** (N, c); added to when `accumulate`. Neither `dOut` nor `x`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
}

export const causalConvolution: LaunchedKernel<CausalConvolutionOptions> = {
  work({ x, weight, sequences, initialRows, finalRows, out }) {
    const [channels, taps] = matrix('causalConvolution', weight);
    const [rows] = matrix('causalConvolution', x);
    const count = assertSequences('causalConvolution', sequences, rows);
    for (const tensor of [x, out]) assertShape('causalConvolution', tensor, [rows, channels]);
    const borders = [initialRows, finalRows].filter((tensor) => tensor !== undefined);
    for (const tensor of borders)
      assertShape('causalConvolution', tensor, [count, taps - 1, channels]);
    return streaming(x, 2 * taps + 4, [x, weight, out, ...borders]);
  },
};

export const causalConvolutionBackward: LaunchedKernel<CausalConvolutionBackwardOptions> = {
  work({ dOut, x, weight, sequences, dX, accumulate }) {
    const [channels, taps] = matrix('causalConvolutionBackward', weight);
    const [rows] = matrix('causalConvolutionBackward', x);
    assertSequences('causalConvolutionBackward', sequences, rows);
    for (const tensor of [dOut, x, dX])
      assertShape('causalConvolutionBackward', tensor, [rows, channels]);
    return streaming(x, 4 * taps + 8, [dOut, x, weight, dX, ...(accumulate ? [dX] : [])]);
  },
};
