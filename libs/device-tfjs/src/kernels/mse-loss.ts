import type { MseLossOptions } from '@emloc/device';
import { assertShape, matrix } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function mseLoss(
  { tf, memory }: TfjsContext,
  { prediction, target, loss, gradientScale }: MseLossOptions,
): void {
  const [rows, width] = matrix('mseLoss', prediction);
  assertShape('mseLoss', target, prediction.shape);
  assertShape('mseLoss', loss, [rows]);
  if (prediction.size === 0) return;
  const difference = tf.sub(memory.float32(prediction), memory.float32(target));
  memory.write(loss, tf.mean(tf.square(difference), 1));
  if (gradientScale !== undefined)
    memory.write(prediction, tf.mul(difference, (2 * gradientScale) / width));
}
