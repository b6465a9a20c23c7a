import type { ModulateBackwardOptions, ModulateOptions } from '@emloc/device';
import { assertSequences, assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';
import { bySequence, sumBySequence } from '../sequences.js';

export function modulate(context: TfjsContext, options: ModulateOptions): void {
  const { tf, memory } = context;
  const { x, scale, shift, sequences, out } = options;
  const [rows, width] = matrix('modulate', x);
  assertSequences('modulate', sequences, rows);
  const { offsets } = sequences;
  assertShape('modulate', out, x.shape);
  for (const tensor of [scale, shift]) assertShape('modulate', tensor, [offsets.length - 1, width]);
  if (x.size === 0) return;
  const factors = tf.add(bySequence(context, scale, offsets), 1);
  const scaled = tf.mul(memory.float32(x), factors);
  memory.write(out, tf.add(scaled, bySequence(context, shift, offsets)));
}

export function modulateBackward(context: TfjsContext, options: ModulateBackwardOptions): void {
  const { tf, memory } = context;
  const { dOut, x, scale, sequences, dX, accumulate, dScale, dShift } = options;
  const [rows, width] = matrix('modulateBackward', x);
  assertSequences('modulateBackward', sequences, rows);
  const { offsets } = sequences;
  for (const tensor of [dOut, dX]) assertShape('modulateBackward', tensor, x.shape);
  for (const tensor of [scale, dScale, dShift])
    if (tensor) assertShape('modulateBackward', tensor, [offsets.length - 1, width]);
  if (scale.size === 0) return;
  const gradient = memory.float32<Tensor2D>(dOut);
  if (x.size > 0) {
    const result = tf.mul(gradient, tf.add(bySequence(context, scale, offsets), 1));
    memory.write(dX, accumulate ? tf.add(memory.float32(dX), result) : result);
  }
  if (dScale) {
    const products = tf.mul(gradient, memory.float32(x)) as Tensor2D;
    memory.write(dScale, sumBySequence(context, products, offsets));
  }
  if (dShift) memory.write(dShift, sumBySequence(context, gradient, offsets));
}
