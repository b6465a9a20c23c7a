import { DeviceError, type RopeOptions } from '@emloc/device';
import { assertIndices, assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

export function rope({ tf, memory }: TfjsContext, options: RopeOptions): void {
  const { x, out, cos, sin, positions, heads, inverse } = options;
  const { rows, half } = checkRope(options);
  if (x.size === 0) return;
  assertIndices('rope', memory.indices(positions), cos.dim(0), positions.label);
  const places = memory.int32(positions);
  const angle = (table: typeof cos) =>
    tf.reshape(tf.gather(memory.float32<Tensor2D>(table), places), [rows, 1, half]);
  const [c, s] = [angle(cos), inverse ? tf.neg(angle(sin)) : angle(sin)];
  const [low, high] = tf.split(
    tf.reshape(memory.float32(x), [rows, heads, 2 * half]) as Tensor3D,
    2,
    2,
  ) as [Tensor3D, Tensor3D];
  const turned = [tf.sub(tf.mul(low, c), tf.mul(high, s)), tf.add(tf.mul(high, c), tf.mul(low, s))];
  memory.write(out, tf.concat(turned, 2));
}

function checkRope({ x, out, cos, sin, positions, heads }: RopeOptions): {
  rows: number;
  half: number;
} {
  const [rows, width] = matrix('rope', x);
  const half = width / heads / 2;
  if (!Number.isInteger(half))
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `rope: ${heads} heads of even length do not make ${width}`,
    );
  const table = [cos.dim(0), half];
  assertShape('rope', out, x.shape);
  assertShape('rope', cos, table);
  assertShape('rope', sin, table);
  assertShape('rope', positions, [rows]);
  return { rows, half };
}
