import type { RopeOptions } from '@emloc/device';
import { assertIndices, assertShape, ropeExtents } from '@emloc/device-cpu';
import type { Tensor2D, Tensor as TfTensor } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';
import type { Tf } from '../memory.js';

export function rope({ tf, memory }: TfjsContext, options: RopeOptions): void {
  const { x, out, cos, sin, positions, heads, inverse, pairs = 'halves' } = options;
  const { rows, headDim, half } = checkRope(options);
  if (x.size === 0) return;
  assertIndices('rope', memory.indices(positions), cos.dim(0), positions.label);
  const places = memory.int32(positions);
  const angle = (table: typeof cos) =>
    tf.reshape(tf.gather(memory.float32<Tensor2D>(table), places), [rows, 1, half]);
  const [c, s] = [angle(cos), inverse ? tf.neg(angle(sin)) : angle(sin)];
  const whole = tf.reshape(memory.float32(x), [rows, heads, headDim]);
  const isPartial = 2 * half < headDim;
  const part = isPartial ? tf.slice(whole, [0, 0, 0], [rows, heads, 2 * half]) : whole;
  const [low, high] = split(tf, part, pairs);
  const turned = [tf.sub(tf.mul(low, c), tf.mul(high, s)), tf.add(tf.mul(high, c), tf.mul(low, s))];
  const joined = pairs === 'halves' ? tf.concat(turned, 2) : tf.stack(turned, 3);
  if (!isPartial) return memory.write(out, joined);
  const rest = tf.slice(whole, [0, 0, 2 * half], [rows, heads, headDim - 2 * half]);
  memory.write(out, tf.concat([tf.reshape(joined, [rows, heads, 2 * half]), rest], 2));
}

/** The two of every pair of the last axis. */
function split(
  tf: Tf,
  part: TfTensor,
  pairs: 'halves' | 'adjacent',
): readonly [low: TfTensor, high: TfTensor] {
  if (pairs === 'halves') return tf.split(part, 2, 2) as [TfTensor, TfTensor];
  const [rows = 0, heads = 0, width = 0] = part.shape;
  return tf.unstack(tf.reshape(part, [rows, heads, width / 2, 2]), 3) as [TfTensor, TfTensor];
}

function checkRope(options: RopeOptions): ReturnType<typeof ropeExtents> {
  const { x, out, cos, sin, positions } = options;
  const extents = ropeExtents(options);
  const table = [cos.dim(0), extents.half];
  assertShape('rope', out, x.shape);
  assertShape('rope', cos, table);
  assertShape('rope', sin, table);
  assertShape('rope', positions, [extents.rows]);
  return extents;
}
