import type { DoraGateBackwardOptions, DoraGateOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import { float32 } from '../memory.js';

export function doraGate({ magnitude, inverseRms, width, gate }: DoraGateOptions): void {
  const [rows, columns] = matrix('doraGate', gate);
  for (const tensor of [magnitude, inverseRms]) assertShape('doraGate', tensor, [columns]);
  const [magnitudes, inverses, output] = [float32(magnitude), float32(inverseRms), float32(gate)];
  const root = Math.sqrt(width);
  for (let row = 0, j = 0; row < rows; row += 1) {
    for (let i = 0; i < columns; i += 1, j += 1)
      output[j] = ((magnitudes[i] as number) * (inverses[i] as number)) / root - 1;
  }
}

/** Sums in float64. */
export function doraGateBackward({
  dGate,
  inverseRms,
  width,
  dMagnitude,
}: DoraGateBackwardOptions): void {
  const [rows, columns] = matrix('doraGateBackward', dGate);
  for (const tensor of [inverseRms, dMagnitude]) assertShape('doraGateBackward', tensor, [columns]);
  const [gradient, inverses, output] = [float32(dGate), float32(inverseRms), float32(dMagnitude)];
  const root = Math.sqrt(width);
  for (let i = 0; i < columns; i += 1) {
    let sum = 0;
    for (let row = 0; row < rows; row += 1) sum += gradient[row * columns + i] as number;
    output[i] = (output[i] as number) + (sum * (inverses[i] as number)) / root;
  }
}
