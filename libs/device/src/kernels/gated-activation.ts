import { assertEqualSizes } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';
import type { ActivationKind } from './activation.js';

/** The functions of `activation`, the logistic function, and gpt-oss's clamped SwiGLU. */
export type GatedActivationKind =
  Exclude<ActivationKind, 'quickGelu'> | 'sigmoid' | 'clampedSwiglu';

/**
 * out = act(gate) · up, elementwise. clampedSwiglu: out = (u + 1) g σ(1.702 g) with g = min(gate,
 * limit) and u = min(max(up, −limit), limit).
 */
export interface GatedActivationOptions {
  readonly gate: Tensor;
  readonly up: Tensor;
  readonly kind: GatedActivationKind;
  /** Of clampedSwiglu; default 7. */
  readonly limit?: number;
  readonly out: Tensor;
}

/** `dGate` and `dUp` may be `gate` and `up` themselves. */
export interface GatedActivationBackwardOptions {
  readonly dOut: Tensor;
  readonly gate: Tensor;
  readonly up: Tensor;
  readonly kind: GatedActivationKind;
  readonly limit?: number;
  /** May be `gate`. */
  readonly dGate: Tensor;
  /** May be `up`. */
  readonly dUp: Tensor;
  /** The forward's output once more, where it is wanted. May be `dOut`. */
  readonly out?: Tensor;
}

export const gatedActivation: LaunchedKernel<GatedActivationOptions> = {
  work({ gate, up, out }) {
    assertEqualSizes('gatedActivation', gate, up, out);
    return streaming(out, 5, [gate, up, out]);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }, shape) => {
      const size = [probeRows(shape), shape.widest.outFeatures];
      const [gate, up, out] = [tensor(size), tensor(size), tensor(size)];
      return { options: { gate, up, out, kind: 'silu' } };
    },
  },
};

export const gatedActivationBackward: LaunchedKernel<GatedActivationBackwardOptions> = {
  work({ dOut, gate, up, dGate, dUp, out }) {
    const operands = [dOut, gate, up, dGate, dUp, ...(out ? [out] : [])];
    assertEqualSizes('gatedActivationBackward', gate, ...operands);
    return streaming(dOut, 10, operands);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }, shape) => {
      const size = [probeRows(shape), shape.widest.outFeatures];
      const [gate, up, dOut] = [tensor(size), tensor(size), tensor(size)];
      const [dGate, dUp] = [tensor(size), tensor(size)];
      return { options: { dOut, gate, up, kind: 'silu', dGate, dUp } };
    },
  },
};
