import type { GatedActivationKind } from '@emloc/device';

import { activate } from './activation.js';

/** act(gate) · up */
export function gatedActivation(
  gate: Float64Array,
  up: Float64Array,
  kind: GatedActivationKind = 'silu',
  limit = 7,
): Float64Array {
  return gate.map((value, i) => {
    if (kind === 'sigmoid') return (up[i] as number) / (1 + Math.exp(-value));
    if (kind !== 'clampedSwiglu') return activate(value, kind) * (up[i] as number);
    const clamped = Math.min(Math.max(up[i] as number, -limit), limit);
    return activate(Math.min(value, limit), 'quickGelu') * (clamped + 1);
  });
}
