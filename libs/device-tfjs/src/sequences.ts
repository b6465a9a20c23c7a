import type { Tensor } from '@emloc/device';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from './context.js';

/** For every row the row of `table` (sequences, width) that belongs to its sequence. */
export function bySequence(
  { tf, memory }: TfjsContext,
  table: Tensor,
  offsets: readonly number[],
): Tensor2D {
  const owners = new Int32Array(offsets.at(-1) ?? 0);
  offsets.forEach((end, s) => owners.fill(s - 1, offsets[s - 1] ?? 0, end));
  return tf.gather(memory.float32<Tensor2D>(table), tf.tensor1d(owners, 'int32'));
}

/** Sums over the rows of each sequence: (sequences, width). */
export function sumBySequence(
  { tf }: TfjsContext,
  values: Tensor2D,
  offsets: readonly number[],
): Tensor2D {
  const width = values.shape[1];
  const sums = offsets.slice(1).map((end, s) => {
    const start = offsets[s] ?? 0;
    return end === start
      ? tf.zeros([width])
      : tf.tidy(() => tf.sum(tf.slice(values, [start, 0], [end - start, width]), 0));
  });
  return tf.stack(sums) as Tensor2D;
}
