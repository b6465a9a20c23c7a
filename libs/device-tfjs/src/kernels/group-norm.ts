import { at } from '@emloc/checked';
import { assertDivides, type GroupNormOptions } from '@emloc/device';
import { assertSequences, assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D, Tensor as TfTensor } from '@tensorflow/tfjs-core';

import { share } from '../activations.js';
import type { TfjsContext } from '../context.js';

/** The mean is corrected by that of the differences from it, so that a large one costs nothing. */
export function groupNorm(context: TfjsContext, options: GroupNormOptions): void {
  const { tf, memory } = context;
  const { x, groups, weight, bias, sequences, activation, out } = options;
  const [rows, width] = matrix('groupNorm', x);
  assertDivides('groupNorm', { name: 'groups', count: groups }, x);
  assertSequences('groupNorm', sequences, rows);
  assertShape('groupNorm', out, x.shape);
  for (const tensor of [weight, bias]) assertShape('groupNorm', tensor, [width]);
  if (x.size === 0) return;
  const { offsets } = sequences;
  const parts = offsets
    .slice(1)
    .map((end, s) => [at(offsets, s), end] as const)
    .filter(([start, end]) => end > start)
    .map(([start, end]) => tf.tidy(() => normalised(context, options, start, end)));
  const normal = parts.length === 1 ? at(parts, 0) : tf.concat(parts, 0);
  const result = tf.tidy(() =>
    tf.add(tf.mul(normal, memory.float32(weight)), memory.float32(bias)),
  );
  memory.write(out, activation ? tf.mul(result, share(tf, activation, result)) : result);
}

/** Rows [start, end), which are a sequence. */
function normalised(
  { tf, memory }: TfjsContext,
  { x, groups, epsilon }: GroupNormOptions,
  start: number,
  end: number,
): Tensor2D {
  const [rows, width] = [end - start, x.dim(1)];
  const values = tf.reshape(memory.float32(x.rows(start, end)), [rows, groups, width / groups]);
  const mean = (tensor: TfTensor) => tf.mean(tensor, [0, 2], true);
  const differences = tf.sub(values, mean(values));
  const centered = tf.sub(differences, mean(differences));
  const deviation = tf.sqrt(tf.add(mean(tf.square(centered)), epsilon));
  return tf.reshape(tf.div(centered, deviation), [rows, width]) as Tensor2D;
}
