import type { Tensor } from '@emloc/device';

import type { OperationRule, SwigluOperation } from './operation.js';

export const swiglu: OperationRule<SwigluOperation> = {
  inputs: ({ gate, up }) => [gate, up],
  saves: ({ gate, up }) => [gate, up],
  isCheap: true,

  forward(context, { gate, up, out }) {
    context.bindings.device.kernels.gatedActivation({
      gate: context.get(gate),
      up: context.get(up),
      kind: 'silu',
      out: context.create(out),
    });
  },

  backward(context, { gate, up, out }) {
    if (!context.needsGradient(gate) && !context.needsGradient(up)) return;
    const gradients: Tensor[] = [];
    for (const value of [gate, up]) {
      context.contribute(value, (gradient, accumulate) => {
        if (accumulate) throw new Error('swiglu: its inputs must have no other user');
        gradients.push(gradient);
      });
    }
    const [dGate, dUp] = gradients as [Tensor, Tensor];
    context.bindings.device.kernels.gatedActivationBackward({
      dOut: context.dOut,
      gate: context.get(gate),
      up: context.get(up),
      kind: 'silu',
      dGate,
      dUp,
      out: context.restore(out, { overGradient: true }),
    });
  },
};
