import {
  type GatedActivationBackwardOptions,
  type GatedActivationKind,
  type GatedActivationOptions,
} from '@emloc/device';
import { assertSize } from '@emloc/device-cpu';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';

import { share, slope } from '../activations.js';
import type { TfjsContext } from '../context.js';
import type { Tf } from '../memory.js';

/** Of gpt-oss's clamped SwiGLU; read by no other kind. */
const defaultLimit = 7;

export function gatedActivation(
  { tf, memory }: TfjsContext,
  { gate, up, kind, limit = defaultLimit, out }: GatedActivationOptions,
): void {
  const { size } = out;
  for (const tensor of [gate, up]) assertSize('gatedActivation', tensor, size);
  if (size === 0) return;
  const [gates, ups] = [gate, up].map((tensor) => tf.reshape(memory.float32(tensor), [size])) as [
    TfTensor,
    TfTensor,
  ];
  const clamped = clamp(tf, kind, limit, gates, ups);
  const s = share(tf, kind, clamped.gates);
  const activated = activate(tf, kind, clamped.gates, s);
  memory.write(out, tf.mul(activated, clamped.ups));
}

/** dUp = dOut act(gate), dGate = dOut up act'(gate); 0 where clamping held them. */
export function gatedActivationBackward(
  { tf, memory }: TfjsContext,
  options: GatedActivationBackwardOptions,
): void {
  const { dOut, gate, up, kind, limit = defaultLimit, dGate, dUp, out } = options;
  const { size } = dOut;
  for (const tensor of [gate, up, dGate, dUp, ...(out ? [out] : [])])
    assertSize('gatedActivationBackward', tensor, size);
  if (size === 0) return;
  const [gradient, rawGates, rawUps] = [dOut, gate, up].map((tensor) =>
    tf.reshape(memory.float32(tensor), [size]),
  ) as [TfTensor, TfTensor, TfTensor];
  const { gates, ups } = clamp(tf, kind, limit, rawGates, rawUps);
  const s = share(tf, kind, gates);
  const activated = activate(tf, kind, gates, s);
  const gateGradient = tf.mul(tf.mul(gradient, ups), slope(tf, kind, gates, s));
  const upGradient = tf.mul(gradient, activated);
  const again = out ? tf.mul(activated, ups) : null;
  const isClamped = kind === 'clampedSwiglu';
  memory.write(
    dGate,
    isClamped ? free(tf, gateGradient, tf.greater(rawGates, limit)) : gateGradient,
  );
  memory.write(
    dUp,
    isClamped ? free(tf, upGradient, tf.greater(tf.abs(rawUps), limit)) : upGradient,
  );
  if (out && again) memory.write(out, again);
}

/** act(gate), s being its share. */
function activate(tf: Tf, kind: GatedActivationKind, gates: TfTensor, s: TfTensor): TfTensor {
  return kind === 'sigmoid' ? s : tf.mul(gates, s);
}

function clamp(
  tf: Tf,
  kind: GatedActivationKind,
  limit: number,
  gates: TfTensor,
  ups: TfTensor,
): { gates: TfTensor; ups: TfTensor } {
  if (kind !== 'clampedSwiglu') return { gates, ups };
  return {
    gates: tf.minimum(gates, limit),
    ups: tf.add(tf.clipByValue(ups, -limit, limit), 1),
  };
}

/** The gradient where it is not held, else 0. */
function free(tf: Tf, gradient: TfTensor, held: TfTensor): TfTensor {
  return tf.where(held, tf.zerosLike(gradient), gradient);
}
