import type { RmsNormBackwardOptions, RmsNormOptions, Tensor } from '@emloc/device';
import { assertShape, assertSize, rowsAndColumns } from '@emloc/device-cpu';
import type { Tensor2D, Tensor as TfTensor } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

export function rmsNorm(context: TfjsContext, options: RmsNormOptions): void {
  const { tf, memory } = context;
  const { x, weight, weightOffset, epsilon, out, inverseRms } = options;
  const [rows, width] = rowsAndColumns(x);
  assertSize('rmsNorm', out, x.size);
  if (weight) assertShape('rmsNorm', weight, [width]);
  assertSize('rmsNorm', inverseRms, rows);
  if (x.size === 0) return;
  const values = tf.reshape(memory.float32(x), [rows, width]) as Tensor2D;
  const inverse = tf.div(
    1,
    tf.sqrt(tf.add(tf.mean(tf.square(values), 1, true), epsilon)),
  ) as Tensor2D;
  memory.write(inverseRms, inverse);
  memory.write(out, tf.mul(tf.mul(values, inverse), gainOf(context, weight, weightOffset)));
}

/** dX = r (g − x r² mean(g x)) with g = dOut · weight and r = inverseRms. */
export function rmsNormBackward(context: TfjsContext, options: RmsNormBackwardOptions): void {
  const { tf, memory } = context;
  const { dOut, x, weight, weightOffset, inverseRms, dX, accumulate, out } = options;
  const shape = checkBackward(options);
  if (x.size === 0) return;
  const of = (tensor: Tensor) => tf.reshape(memory.float32(tensor), [...shape]) as Tensor2D;
  const [values, inverse, gain] = [
    of(x),
    tf.reshape(memory.float32(inverseRms), [shape[0], 1]),
    gainOf(context, weight, weightOffset),
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
  if (weight) assertShape('rmsNormBackward', weight, [width]);
  assertSize('rmsNormBackward', inverseRms, rows);
  return [rows, width];
}

/** offset + weight, the weight null for ones. */
function gainOf({ tf, memory }: TfjsContext, weight: Tensor | null, offset = 0): TfTensor {
  if (!weight) return tf.scalar(1 + offset);
  return offset === 0 ? memory.float32(weight) : tf.add(memory.float32(weight), offset);
}
