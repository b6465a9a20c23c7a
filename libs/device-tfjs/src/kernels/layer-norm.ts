import type { LayerNormBackwardOptions, LayerNormOptions, Tensor } from '@emloc/device';
import { assertShape, assertSize, rowsAndColumns } from '@emloc/device-cpu';
import type { Tensor2D, Tensor as TfTensor } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/** The mean is corrected by that of the differences from it, so that a large one costs nothing. */
export function layerNorm(context: TfjsContext, options: LayerNormOptions): void {
  const { tf, memory } = context;
  const { x, weight, bias, epsilon, out, mean, inverseStd } = options;
  const [rows, width] = rowsAndColumns(x);
  assertSize('layerNorm', out, x.size);
  for (const tensor of [mean, inverseStd]) assertSize('layerNorm', tensor, rows);
  for (const tensor of [weight, bias]) if (tensor) assertShape('layerNorm', tensor, [width]);
  if (x.size === 0) return;
  const values = tf.reshape(memory.float32(x), [rows, width]) as Tensor2D;
  const rough = tf.mean(values, 1, true);
  const centered = centeredAbout(context, values, rough);
  const inverse = tf.div(1, tf.sqrt(tf.add(tf.mean(tf.square(centered), 1, true), epsilon)));
  const normal = tf.mul(centered, inverse);
  const gained = weight ? tf.mul(normal, memory.float32(weight)) : normal;
  memory.write(mean, rough);
  memory.write(inverseStd, inverse);
  memory.write(out, bias ? tf.add(gained, memory.float32(bias)) : gained);
}

/** dX = r (g − mean(g) − x̂ mean(g x̂)) with g = dOut · weight, x̂ = (x − mean) r, r = inverseStd. */
export function layerNormBackward(context: TfjsContext, options: LayerNormBackwardOptions): void {
  const { tf, memory } = context;
  const { dOut, x, weight, mean, inverseStd, dX, accumulate } = options;
  const [rows, width] = rowsAndColumns(x);
  for (const tensor of [dOut, dX]) assertSize('layerNormBackward', tensor, x.size);
  for (const tensor of [mean, inverseStd]) assertSize('layerNormBackward', tensor, rows);
  if (weight) assertShape('layerNormBackward', weight, [width]);
  if (x.size === 0) return;
  const of = (tensor: Tensor, shape: [number, number] = [rows, width]) =>
    tf.reshape(memory.float32(tensor), shape) as Tensor2D;
  const inverse = of(inverseStd, [rows, 1]);
  const normal = tf.mul(centeredAbout(context, of(x), of(mean, [rows, 1])), inverse);
  const gradient = weight ? tf.mul(of(dOut), memory.float32(weight)) : of(dOut);
  const tilt = tf.mul(normal, tf.mean(tf.mul(gradient, normal), 1, true));
  const level = tf.sub(gradient, tf.mean(gradient, 1, true));
  const result = tf.mul(tf.sub(level, tilt), inverse);
  memory.write(dX, accumulate ? tf.add(of(dX), result) : result);
}

function centeredAbout({ tf }: TfjsContext, values: TfTensor, rough: TfTensor): TfTensor {
  const differences = tf.sub(values, rough);
  return tf.sub(differences, tf.mean(differences, 1, true));
}
