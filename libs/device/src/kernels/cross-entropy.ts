import { assertShape, matrix } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * Softmax cross-entropy of each row of l = logitScale · logits, or of
 * l = softCap · tanh(logitScale · logits / softCap), and optionally its gradient by `logits`.
 */
export interface CrossEntropyOptions {
  /**
   * (N, V). Overwritten by dLogits = (softmax − onehot) · dl/dlogits · gradientScale when
   * `gradientScale` is given; of zeros in a row of finite logits whose
   * target is −1.
   */
  readonly logits: Tensor;
  /** int32 (N); −1: the row counts nothing. */
  readonly targets: Tensor;
  /** float32 (N): −log softmax[target], 0 where the target is −1 */
  readonly loss: Tensor;
  /** int32 (N): the smallest index of the largest of logitScale · logits. */
  readonly prediction: Tensor;
  /** float32 (1), read when the kernel runs */
  readonly gradientScale?: Tensor | undefined;
  /** Default 1; a product in float32. */
  readonly logitScale?: number;
  /** Default: no cap. */
  readonly softCap?: number;
}

export const crossEntropy: LaunchedKernel<CrossEntropyOptions> = {
  work({ logits, targets, loss, prediction, gradientScale }) {
    const [rows] = matrix('crossEntropy', logits);
    assertShape('crossEntropy', targets, [rows]);
    assertShape('crossEntropy', loss, [rows]);
    assertShape('crossEntropy', prediction, [rows]);
    if (gradientScale) assertShape('crossEntropy', gradientScale, [1]);
    const written = gradientScale ? [gradientScale, logits] : [];
    return streaming(logits, 5, [logits, targets, loss, prediction, ...written]);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor, indices }, { vocabularySize }) => {
      const [logits, loss] = [tensor([64, vocabularySize]), tensor([64], 'float32')];
      const [targets, prediction] = [indices(new Int32Array(64)), indices(new Int32Array(64))];
      return { options: { logits, targets, loss, prediction } };
    },
  },
};
