import type { CrossEntropyOptions } from '@emloc/device';
import { assertShape, assertTargets, matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/**
 * The target's logit and column are found by index and by comparison: `oneHot` is wrong in one
 * backend, and `argMax` promises nothing for equal logits. Columns are compared in float32, so a
 * vocabulary ends at 2²⁴.
 */
export function crossEntropy(context: TfjsContext, options: CrossEntropyOptions): void {
  const { tf, memory } = context;
  const { logits, targets, loss, prediction, gradientScale, logitScale = 1, softCap } = options;
  const [rows, width] = matrix('crossEntropy', logits);
  for (const tensor of [targets, loss, prediction]) assertShape('crossEntropy', tensor, [rows]);
  const goals = memory.indices(targets);
  if (gradientScale) assertShape('crossEntropy', gradientScale, [1]);
  assertTargets('crossEntropy', goals, width, targets.label);
  if (rows === 0) return;
  const given = memory.float32<Tensor2D>(logits);
  const scaled = logitScale === 1 ? given : tf.mul(given, logitScale);
  const highest = tf.max(scaled, 1, true);
  const values = softCap === undefined ? scaled : tf.mul(tf.tanh(tf.div(scaled, softCap)), softCap);
  const places = tf.tensor1d(
    Int32Array.from(goals, (goal, row) => row * width + Math.max(0, goal)),
    'int32',
  );
  const largest = softCap === undefined ? highest : tf.max(values, 1, true);
  const exponentials = tf.exp(tf.sub(values, largest));
  const sums = tf.sum(exponentials, 1, true);
  const goalLogits = tf.gather(tf.reshape(values, [rows * width]), places);
  const losses = tf.sub(tf.reshape(tf.add(tf.log(sums), largest), [rows]), goalLogits);
  const counts = tf.tensor1d(Float32Array.from(goals, (goal) => (goal < 0 ? 0 : 1)));
  memory.write(loss, tf.mul(losses, counts));
  const columns = tf.range(0, width, 1, 'float32');
  const firstLargest = tf.min(tf.where(tf.equal(scaled, highest), columns, width), 1);
  memory.write(prediction, tf.cast(tf.minimum(firstLargest, width - 1), 'int32'));
  if (!gradientScale) return;
  const isGoal = tf.equal(columns, tf.tensor2d(Float32Array.from(goals), [rows, 1]));
  const gradient = tf.mul(
    tf.sub(tf.div(exponentials, sums), tf.cast(isGoal, 'float32')),
    tf.mul(tf.mul(memory.float32(gradientScale), logitScale), tf.reshape(counts, [rows, 1])),
  );
  if (softCap === undefined) return memory.write(logits, gradient);
  memory.write(logits, tf.mul(gradient, tf.sub(1, tf.square(tf.div(values, softCap)))));
}
