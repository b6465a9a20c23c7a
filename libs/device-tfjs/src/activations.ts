import type { ActivationKind, GatedActivationKind } from '@emloc/device';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';

import type { Tf } from './memory.js';

type Kind = ActivationKind | GatedActivationKind;

/** 2 √(2/π), and what the cube counts. */
const tanhFactor = 2 * Math.sqrt(2 / Math.PI);
const tanhCubic = 0.044715;
/** Where geluTanh's share is 0 or 1 in float32. */
const saturation = 16;

/**
 * s of act(x) = x · s(x), or of sigmoid's s(x) alone: a logistic function, or the normal
 * distribution function.
 */
export function share(tf: Tf, kind: Kind, x: TfTensor): TfTensor {
  switch (kind) {
    case 'silu':
    case 'sigmoid':
      return tf.sigmoid(x);
    case 'gelu':
      return tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
    case 'geluTanh': {
      const y = tf.clipByValue(x, -saturation, saturation);
      const cube = tf.mul(tf.mul(tf.square(y), y), tanhCubic);
      return tf.sigmoid(tf.mul(tf.add(y, cube), tanhFactor));
    }
    case 'quickGelu':
    case 'clampedSwiglu':
      return tf.sigmoid(tf.mul(x, 1.702));
  }
}

/** act'(x) for s = share(x). */
export function slope(tf: Tf, kind: Kind, x: TfTensor, s: TfTensor): TfTensor {
  if (kind === 'gelu') {
    const bell = tf.exp(tf.mul(tf.square(x), -0.5));
    return tf.add(s, tf.mul(x, tf.mul(bell, 1 / Math.sqrt(2 * Math.PI))));
  }
  if (kind === 'sigmoid') return tf.mul(s, tf.sub(1, s));
  const rise = tf.mul(x, tf.sub(1, s));
  return tf.mul(s, tf.add(steepened(tf, kind, x, rise), 1));
}

function steepened(tf: Tf, kind: Kind, x: TfTensor, rise: TfTensor): TfTensor {
  if (kind === 'silu') return rise;
  if (kind !== 'geluTanh') return tf.mul(rise, 1.702);
  const y = tf.clipByValue(x, -saturation, saturation);
  const steepness = tf.mul(tf.add(tf.mul(tf.square(y), 3 * tanhCubic), 1), tanhFactor);
  return tf.mul(rise, steepness);
}
