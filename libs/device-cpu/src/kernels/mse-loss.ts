import type { MseLossOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import { float32 } from '../memory.js';

/** Sums in float64. */
export function mseLoss({
  prediction,
  target,
  weights,
  loss,
  gradientScale,
}: MseLossOptions): void {
  const [rows, width] = matrix('mseLoss', prediction);
  assertShape('mseLoss', target, prediction.shape);
  assertShape('mseLoss', loss, [rows]);
  if (weights) assertShape('mseLoss', weights, [rows]);
  if (gradientScale) assertShape('mseLoss', gradientScale, [1]);
  const scale = gradientScale ? (float32(gradientScale)[0] as number) : null;
  const rowWeights = weights ? float32(weights) : null;
  const [values, goals, losses] = [float32(prediction), float32(target), float32(loss)];
  for (let row = 0, j = 0; row < rows; row += 1) {
    const weight = rowWeights ? (rowWeights[row] as number) : 1;
    const factor = (2 * (scale ?? 0) * weight) / width;
    let sum = 0;
    for (const end = j + width; j < end; j += 1) {
      const difference = (values[j] as number) - (goals[j] as number);
      sum += difference * difference;
      if (scale !== null) values[j] = factor * difference;
    }
    losses[row] = (weight * sum) / width;
  }
}
