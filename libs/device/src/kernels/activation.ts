import { assertEqualSizes } from '../checks.js';
import type { LaunchedKernel } from '../kernel.js';
import { probeRows } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { streaming } from '../work.js';

/**
 * gelu: x Φ(x), Φ to float32 accuracy; geluTanh: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)));
 * quickGelu: x σ(1.702 x); silu: x σ(x).
 */
export type ActivationKind = 'gelu' | 'geluTanh' | 'quickGelu' | 'silu';

/** out = act(x), elementwise. `out` may be `x`. */
export interface ActivationOptions {
  readonly x: Tensor;
  readonly kind: ActivationKind;
  readonly out: Tensor;
}

/** dX = dOut · act'(x). */
export interface ActivationBackwardOptions {
  readonly dOut: Tensor;
  readonly x: Tensor;
  readonly kind: ActivationKind;
  /** Added to when `accumulate`. May be `dOut` or `x`. */
  readonly dX: Tensor;
  readonly accumulate?: boolean;
}

export const activation: LaunchedKernel<ActivationOptions> = {
  work({ x, out }) {
    assertEqualSizes('activation', x, out);
    return streaming(out, 8, [x, out]);
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor }, shape) => {
      const size = [probeRows(shape), shape.widest.outFeatures];
      return { options: { x: tensor(size), kind: 'gelu', out: tensor(size) } };
    },
  },
};

export const activationBackward: LaunchedKernel<ActivationBackwardOptions> = {
  work({ dOut, x, dX, accumulate }) {
    assertEqualSizes('activationBackward', x, dOut, dX);
    return streaming(x, 12, [dOut, x, dX, ...(accumulate ? [dX] : [])]);
  },
};
