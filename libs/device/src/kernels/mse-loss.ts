import { assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * The mean of squared differences of each row, times the row's weight, and optionally the gradient
 * of their sum.
 */
export interface MseLossOptions {
  /**
   * (N, d). Overwritten by gradientScale · weight · 2 (prediction − target) / d when
   * `gradientScale` is given.
   */
  readonly prediction: Tensor;
  /** (N, d), dtype of `prediction` or float32 */
  readonly target: Tensor;
  /** float32 (N); absent: 1 each */
  readonly weights?: Tensor | undefined;
  /** float32 (N): weight · the mean over the columns */
  readonly loss: Tensor;
  /** float32 (1), read when the kernel runs */
  readonly gradientScale?: Tensor | undefined;
}

export const mseLoss: LaunchedKernel<MseLossOptions> = {
  work({ prediction, target, weights, loss, gradientScale }) {
    const [rows] = matrix('mseLoss', prediction);
    assertShape('mseLoss', target, prediction.shape);
    assertShape('mseLoss', loss, [rows]);
    const weighing = weights ? [weights] : [];
    for (const tensor of weighing) assertShape('mseLoss', tensor, [rows]);
    if (gradientScale) assertShape('mseLoss', gradientScale, [1]);
    const written = gradientScale ? [gradientScale, prediction] : [];
    return streaming(prediction, 3, [prediction, target, ...weighing, loss, ...written]);
  },
};
