import type { GatedAddBackwardOptions, GatedAddOptions } from '@emloc/device';
import { assertSequences, assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';
import { bySequence, sumBySequence } from '../sequences.js';

export function gatedAdd(context: TfjsContext, { x, gate, sequences, out }: GatedAddOptions): void {
  const { tf, memory } = context;
  const [rows, width] = matrix('gatedAdd', x);
  assertSequences('gatedAdd', sequences, rows);
  const { offsets } = sequences;
  assertShape('gatedAdd', out, x.shape);
  assertShape('gatedAdd', gate, [offsets.length - 1, width]);
  if (x.size === 0) return;
  const gated = tf.mul(memory.float32(x), bySequence(context, gate, offsets));
  memory.write(out, tf.add(memory.float32(out), gated));
}

export function gatedAddBackward(context: TfjsContext, options: GatedAddBackwardOptions): void {
  const { tf, memory } = context;
  const { dOut, x, gate, sequences, dX, accumulate, dGate } = options;
  const [rows, width] = matrix('gatedAddBackward', x);
  assertSequences('gatedAddBackward', sequences, rows);
  const { offsets } = sequences;
  for (const tensor of [dOut, dX]) assertShape('gatedAddBackward', tensor, x.shape);
  for (const tensor of [gate, dGate])
    if (tensor) assertShape('gatedAddBackward', tensor, [offsets.length - 1, width]);
  if (gate.size === 0) return;
  const gradient = memory.float32<Tensor2D>(dOut);
  if (x.size > 0) {
    const result = tf.mul(gradient, bySequence(context, gate, offsets));
    memory.write(dX, accumulate ? tf.add(memory.float32(dX), result) : result);
  }
  if (!dGate) return;
  const products = tf.mul(gradient, memory.float32(x)) as Tensor2D;
  memory.write(dGate, sumBySequence(context, products, offsets));
}
