import type { ActivationBackwardOptions, ActivationOptions } from '@emloc/device';
import { assertSize } from '@emloc/device-cpu';

import { share, slope } from '../activations.js';
import type { TfjsContext } from '../context.js';

export function activation({ tf, memory }: TfjsContext, { x, kind, out }: ActivationOptions): void {
  assertSize('activation', x, out.size);
  if (out.size === 0) return;
  const values = memory.float32(x);
  memory.write(out, tf.mul(values, share(tf, kind, values)));
}

export function activationBackward(
  { tf, memory }: TfjsContext,
  { dOut, x, kind, dX, accumulate }: ActivationBackwardOptions,
): void {
  const { size } = x;
  for (const tensor of [dOut, dX]) assertSize('activationBackward', tensor, size);
  if (size === 0) return;
  const values = tf.reshape(memory.float32(x), [size]);
  const gradient = tf.reshape(memory.float32(dOut), [size]);
  const result = tf.mul(gradient, slope(tf, kind, values, share(tf, kind, values)));
  memory.write(dX, accumulate ? tf.add(tf.reshape(memory.float32(dX), [size]), result) : result);
}
