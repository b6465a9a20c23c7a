import type { CrossEntropyOptions } from '@emloc/device';

import { assertIndices, assertShape, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32, int32 } from '../memory.js';

/** Row by row through the WebAssembly memory; the sum of exponentials in float64. */
export function crossEntropy(
  { scratch, wasm }: CpuContext,
  { logits, targets, loss, prediction, gradientScale }: CrossEntropyOptions,
): void {
  const [rows, width] = matrix('crossEntropy', logits);
  for (const tensor of [targets, loss, prediction]) assertShape('crossEntropy', tensor, [rows]);
  const [values, goals, losses, predictions] = [
    float32(logits),
    int32(targets),
    float32(loss),
    int32(prediction),
  ];
  assertIndices('crossEntropy', goals, width, targets.label);
  const address = scratch.take(width * 4);
  const row = scratch.float32(address, width);
  for (let i = 0; i < rows; i += 1) {
    const start = i * width;
    const goal = goals[i] as number;
    row.set(values.subarray(start, start + width));
    const largest = wasm.maxRow(address, width);
    predictions[i] = wasm.indexOf(address, width, largest);
    const goalLogit = row[goal] as number;
    const sum = wasm.expRow(address, width, largest);
    losses[i] = Math.log(sum) + largest - goalLogit;
    if (gradientScale === undefined) continue;
    wasm.scaleRow(address, width, gradientScale / sum);
    row[goal] = (row[goal] as number) - gradientScale;
    values.set(row, start);
  }
}
