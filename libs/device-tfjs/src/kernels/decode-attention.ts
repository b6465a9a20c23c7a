import { at } from '@emloc/checked';
import { attendedKeys, causalMask, type DecodeAttentionOptions, type Tensor } from '@emloc/device';
import { checkDecodeAttention } from '@emloc/device-cpu';
import type * as tfjs from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/** Sequence by sequence: scores of all heads, softmax, product with the values. */
export function decodeAttention(context: TfjsContext, options: DecodeAttentionOptions): void {
  const { tf, memory } = context;
  const headLength = checkDecodeAttention(options);
  if (options.cache.starts.length === 0) return;
  const rows = options.cache.starts.map((_, sequence) =>
    tf.tidy(() => attend(context, options, { sequence, headLength })),
  );
  memory.write(options.out, tf.concat(rows, 0));
}

/** (heads, headLength) */
function attend(
  { tf, memory }: TfjsContext,
  { q, keys, values, cache, heads, kvHeads, mask = causalMask, ...rest }: DecodeAttentionOptions,
  { sequence, headLength }: { readonly sequence: number; readonly headLength: number },
): tfjs.Tensor2D {
  const { scale, softCap, sinks } = rest;
  const [start, length] = [at(cache.starts, sequence), at(cache.lengths, sequence)];
  const { first, end } = attendedKeys(mask, { first: length - 1, end: length }, length);
  const byHead = (tensor: Tensor): tfjs.Tensor3D => {
    const rows = memory.float32(tensor.rows(start + first, start + end));
    return tf.transpose(tf.reshape(rows, [end - first, kvHeads, headLength]), [1, 0, 2]);
  };
  const query = tf.mul(memory.float32(q.rows(sequence, sequence + 1)), scale);
  const grouped = tf.reshape(query, [kvHeads, heads / kvHeads, headLength]);
  const products = tf.reshape(tf.matMul(grouped, byHead(keys), false, true), [heads, -1]);
  const scores =
    softCap === undefined ? products : tf.mul(tf.tanh(tf.div(products, softCap)), softCap);
  const logits = sinks
    ? tf.concat([scores, tf.reshape(memory.float32(sinks), [heads, 1])], 1)
    : scores;
  const shares = tf.slice(tf.softmax(logits), [0, 0], [heads, end - first]);
  const out = tf.matMul(tf.reshape(shares, [kvHeads, heads / kvHeads, -1]), byHead(values));
  return tf.reshape(out, [heads, headLength]);
}
