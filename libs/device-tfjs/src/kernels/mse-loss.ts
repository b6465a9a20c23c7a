import type { MseLossOptions } from '@emloc/device';
import { assertShape, matrix } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function mseLoss(
  { tf, memory }: TfjsContext,
  { prediction, target, weights, loss, gradientScale }: MseLossOptions,
): void {
  const [rows, width] = matrix('mseLoss', prediction);
  assertShape('mseLoss', target, prediction.shape);
  assertShape('mseLoss', loss, [rows]);
  if (weights) assertShape('mseLoss', weights, [rows]);
  if (gradientScale) assertShape('mseLoss', gradientScale, [1]);
  if (prediction.size === 0) return;
  const difference = tf.sub(memory.float32(prediction), memory.float32(target));
  const means = tf.mean(tf.square(difference), 1);
  memory.write(loss, weights ? tf.mul(means, memory.float32(weights)) : means);
  if (!gradientScale) return;
  const factor = tf.mul(memory.float32(gradientScale), 2 / width);
  memory.write(
    prediction,
    tf.mul(
      difference,
      weights ? tf.mul(memory.float32(weights.reshape([rows, 1])), factor) : factor,
    ),
  );
}
