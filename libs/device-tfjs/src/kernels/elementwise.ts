import {
  DeviceError,
  type AddBiasOptions,
  type AddOptions,
  type CastOptions,
  type FillOptions,
  type ScaleOptions,
  type SquaredNormsOptions,
} from '@emloc/device';
import { assertShape, assertSize, matrix } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function add({ tf, memory }: TfjsContext, { x, out, alpha = 1 }: AddOptions): void {
  assertSize('add', x, out.size);
  if (out.size === 0) return;
  const values = tf.reshape(memory.float32(x), [...out.shape]);
  memory.write(out, tf.add(memory.float32(out), alpha === 1 ? values : tf.mul(values, alpha)));
}

export function addBias({ tf, memory }: TfjsContext, { bias, out }: AddBiasOptions): void {
  const [, width] = matrix('addBias', out);
  assertShape('addBias', bias, [width]);
  if (out.size > 0) memory.write(out, tf.add(memory.float32(out), memory.float32(bias)));
}

export function fill({ tf, memory }: TfjsContext, { out, value }: FillOptions): void {
  memory.write(out, tf.fill([out.size], value, out.dtype as 'float32' | 'int32'));
}

/** float32 and int32 to themselves: there are no other dtypes here. */
export function cast({ memory }: TfjsContext, { x, out }: CastOptions): void {
  assertSize('cast', x, out.size);
  if (x.dtype !== out.dtype)
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `tfjs device: no conversion from ${x.dtype} to ${out.dtype}`,
    );
  memory.write(out, memory.read(x));
}

export function scale(
  { tf, memory }: TfjsContext,
  { x, scale: factors, along, out }: ScaleOptions,
): void {
  const [rows, width] = matrix('scale', x);
  assertShape('scale', out, x.shape);
  assertShape('scale', factors, [along === 'rows' ? rows : width]);
  if (x.size === 0) return;
  memory.write(
    out,
    tf.mul(
      memory.float32(x),
      tf.reshape(memory.float32(factors), along === 'rows' ? [rows, 1] : [1, width]),
    ),
  );
}

export function squaredNorms(
  { tf, memory }: TfjsContext,
  { tensors, out }: SquaredNormsOptions,
): void {
  assertShape('squaredNorms', out, [tensors.length]);
  if (tensors.length === 0) return;
  const norms = tensors.map((tensor) =>
    tensor.size === 0 ? tf.scalar(0) : tf.tidy(() => tf.sum(tf.square(memory.float32(tensor)))),
  );
  memory.write(out, tf.stack(norms));
}
