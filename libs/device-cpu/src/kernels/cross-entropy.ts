import type { CrossEntropyOptions } from '@emloc/device';

import { assertShape, assertTargets, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32, int32 } from '../memory.js';

/**
 * Row by row through the WebAssembly memory; the sum of exponentials in float64. The prediction is
 * made before the cap, which keeps the order and may make different logits equal.
 */
export function crossEntropy({ scratch, wasm }: CpuContext, options: CrossEntropyOptions): void {
  const { logits, targets, loss, prediction, gradientScale, logitScale = 1, softCap } = options;
  const [rows, width] = matrix('crossEntropy', logits);
  for (const tensor of [targets, loss, prediction]) assertShape('crossEntropy', tensor, [rows]);
  if (gradientScale) assertShape('crossEntropy', gradientScale, [1]);
  const scale = gradientScale ? (float32(gradientScale)[0] as number) : null;
  const [values, goals, losses, predictions] = [
    float32(logits),
    int32(targets),
    float32(loss),
    int32(prediction),
  ];
  assertTargets('crossEntropy', goals, width, targets.label);
  const address = scratch.take(width * 4);
  const row = scratch.float32(address, width);
  const cappedAddress = softCap === undefined || scale === null ? null : scratch.take(width * 4);
  for (let i = 0; i < rows; i += 1) {
    const start = i * width;
    const goal = goals[i] as number;
    row.set(values.subarray(start, start + width));
    if (logitScale !== 1) wasm.scaleRow(address, width, logitScale);
    let largest = wasm.maxRow(address, width);
    const predicted = wasm.indexOf(address, width, largest);
    predictions[i] = predicted;
    if (goal < 0) {
      losses[i] = 0;
      if (scale !== null) values.fill(0, start, start + width);
      continue;
    }
    if (softCap !== undefined) {
      wasm.capRow(address, width, softCap);
      largest = row[predicted] as number;
    }
    if (cappedAddress !== null) scratch.float32(cappedAddress, width).set(row);
    const goalLogit = row[goal] as number;
    const sum = wasm.expRow(address, width, largest);
    losses[i] = Math.log(sum) + largest - goalLogit;
    if (scale === null) continue;
    wasm.scaleRow(address, width, scale / sum);
    row[goal] = (row[goal] as number) - scale;
    if (softCap !== undefined && cappedAddress !== null)
      wasm.capSlopes(address, cappedAddress, width, logitScale, softCap);
    else if (logitScale !== 1) wasm.scaleRow(address, width, logitScale);
    values.set(row, start);
  }
}
