import type { DoraGateBackwardOptions, DoraGateOptions } from '@emloc/device';
import { assertShape, matrix } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function doraGate({ tf, memory }: TfjsContext, options: DoraGateOptions): void {
  const { magnitude, inverseRms, width, gate } = options;
  const [rows, columns] = matrix('doraGate', gate);
  for (const tensor of [magnitude, inverseRms]) assertShape('doraGate', tensor, [columns]);
  if (gate.size === 0) return;
  const ratio = tf.div(tf.mul(memory.float32(magnitude), memory.float32(inverseRms)), width ** 0.5);
  memory.write(gate, tf.tile(tf.reshape(tf.sub(ratio, 1), [1, columns]), [rows, 1]));
}

export function doraGateBackward(
  { tf, memory }: TfjsContext,
  { dGate, inverseRms, width, dMagnitude }: DoraGateBackwardOptions,
): void {
  const [, columns] = matrix('doraGateBackward', dGate);
  for (const tensor of [inverseRms, dMagnitude]) assertShape('doraGateBackward', tensor, [columns]);
  if (dGate.size === 0) return;
  const sums = tf.mul(tf.sum(memory.float32(dGate), 0), memory.float32(inverseRms));
  memory.write(dMagnitude, tf.add(memory.float32(dMagnitude), tf.div(sums, width ** 0.5)));
}
