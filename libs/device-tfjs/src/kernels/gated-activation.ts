import type { GatedActivationBackwardOptions, GatedActivationOptions, Tensor } from '@emloc/device';
import { assertSize } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

export function gatedActivation(
  { tf, memory }: TfjsContext,
  { gate, up, out }: GatedActivationOptions,
): void {
  assertSize('gatedActivation', gate, out.size);
  assertSize('gatedActivation', up, out.size);
  if (out.size === 0) return;
  const gates = tf.reshape(memory.float32(gate), [out.size]);
  memory.write(
    out,
    tf.mul(tf.mul(gates, tf.sigmoid(gates)), tf.reshape(memory.float32(up), [out.size])),
  );
}

/** dUp = dOut silu(gate), dGate = dOut up σ (1 + gate (1 − σ)) with σ = sigmoid(gate). */
export function gatedActivationBackward(
  { tf, memory }: TfjsContext,
  { dOut, gate, up, dGate, dUp, out }: GatedActivationBackwardOptions,
): void {
  const { size } = dOut;
  for (const tensor of [gate, up, dGate, dUp, ...(out ? [out] : [])])
    assertSize('gatedActivationBackward', tensor, size);
  if (size === 0) return;
  const [gradient, gates, ups] = [dOut, gate, up].map((tensor: Tensor) =>
    tf.reshape(memory.float32(tensor), [size]),
  ) as [Tf1D, Tf1D, Tf1D];
  const sigmoid = tf.sigmoid(gates);
  const silu = tf.mul(gates, sigmoid);
  const slope = tf.mul(sigmoid, tf.add(tf.mul(gates, tf.sub(1, sigmoid)), 1));
  const results = [tf.mul(tf.mul(gradient, ups), slope), tf.mul(gradient, silu)] as const;
  const again = out ? tf.mul(silu, ups) : null;
  memory.write(dGate, results[0]);
  memory.write(dUp, results[1]);
  if (out && again) memory.write(out, again);
}

type Tf1D = ReturnType<TfjsContext['memory']['int32']>;
