import type { RmsNormBackwardOptions, RmsNormOptions, Tensor } from '@emloc/device';
import { assertShape, assertSize, rowsAndColumns } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

export function rmsNorm(
  { tf, memory }: TfjsContext,
  { x, weight, epsilon, out, inverseRms }: RmsNormOptions,
): void {
  const [rows, width] = rowsAndColumns(x);
  assertSize('rmsNorm', out, x.size);
  assertShape('rmsNorm', weight, [width]);
  assertSize('rmsNorm', inverseRms, rows);
  if (x.size === 0) return;
  const values = tf.reshape(memory.float32(x), [rows, width]) as Tensor2D;
  const inverse = tf.div(
    1,
    tf.sqrt(tf.add(tf.mean(tf.square(values), 1, true), epsilon)),
  ) as Tensor2D;
  memory.write(inverseRms, inverse);
  memory.write(out, tf.mul(tf.mul(values, inverse), memory.float32(weight)));
}

/** dX = r (g − x r² mean(g x)) with g = dOut · weight and r = inverseRms. */
export function rmsNormBackward(context: TfjsContext, options: RmsNormBackwardOptions): void {
  const { tf, memory } = context;
  const { dOut, x, weight, inverseRms, dX, accumulate, out } = options;
  const shape = checkBackward(options);
  if (x.size === 0) return;
  const of = (tensor: Tensor) => tf.reshape(memory.float32(tensor), [...shape]) as Tensor2D;
  const [values, inverse, gain] = [
    of(x),
    tf.reshape(memory.float32(inverseRms), [shape[0], 1]),
    memory.float32(weight),
  ];
  const gradient = tf.mul(of(dOut), gain);
  const shift = tf.mul(tf.mean(tf.mul(gradient, values), 1, true), tf.square(inverse));
  const result = tf.mul(tf.sub(gradient, tf.mul(values, shift)), inverse);
  const again = out ? tf.mul(tf.mul(values, inverse), gain) : null;
  memory.write(dX, accumulate ? tf.add(of(dX), result) : result);
  if (out && again) memory.write(out, again);
}

function checkBackward({
  dOut,
  x,
  weight,
  inverseRms,
  dX,
  out,
}: RmsNormBackwardOptions): readonly [rows: number, width: number] {
  const [rows, width] = rowsAndColumns(x);
  for (const tensor of [dOut, dX, ...(out ? [out] : [])])
    assertSize('rmsNormBackward', tensor, x.size);
  assertShape('rmsNormBackward', weight, [width]);
  assertSize('rmsNormBackward', inverseRms, rows);
  return [rows, width];
}
