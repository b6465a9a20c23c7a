import type { Tensor } from '@emloc/device';

import type { AttentionOperation, OperationRule } from './operation.js';

export const attention: OperationRule<AttentionOperation> = {
  inputs: ({ q, k, v }) => [q, k, v],
  saves: ({ q, k, v, out }) => [q, k, v, out],
  isCheap: false,

  forward(context, { q, k, v, out, heads, kvHeads, scale }) {
    const { device, sequences } = context.bindings;
    const logSumExp = context.aux([heads, context.rows], 'float32', 'attention.logSumExp');
    device.kernels.attention({
      q: context.get(q),
      k: context.get(k),
      v: context.get(v),
      out: context.create(out),
      logSumExp,
      sequences,
      heads,
      kvHeads,
      scale,
    });
  },

  backward(context, { q, k, v, out, heads, kvHeads, scale }) {
    const [logSumExp] = context.aux;
    const inputs = [q, k, v];
    if (!logSumExp || !inputs.some((value) => context.needsGradient(value))) return;
    const gradients: Tensor[] = [];
    for (const value of inputs) {
      context.contribute(value, (gradient, accumulate) => {
        if (accumulate) throw new Error('attention: its inputs must have no other user');
        gradients.push(gradient);
      });
    }
    const [dQ, dK, dV] = gradients as [Tensor, Tensor, Tensor];
    context.bindings.device.kernels.attentionBackward({
      q: context.get(q),
      k: context.get(k),
      v: context.get(v),
      out: context.get(out),
      dOut: context.dOut,
      logSumExp,
      sequences: context.bindings.sequences,
      heads,
      kvHeads,
      scale,
      dQ,
      dK,
      dV,
    });
  },
};
