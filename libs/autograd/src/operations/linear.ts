import type { Device, Tensor } from '@emloc/device';
import type { LinearWeights } from '../bindings.js';
import type { BackwardContext, ForwardContext, LinearOperation, OperationRule } from './operation.js';

/** y = x Wᵀ + bias + s · (x Aᵀ) Bᵀ. The frozen weight has no gradient. */
export const linear: OperationRule<LinearOperation> = {
  inputs: ({ x }) => [x],
  saves: ({ x }, adapted) => (adapted ? [x] : []),
  isCheap: false,

  forward(context, { x, out, name }) {
    const { bindings } = context;
    const weights = bindings.linear(name);
    const input = context.get(x);
    const output = context.create(out);
    applyWeight(context, weights, input, output);
    bindings.onLinear?.(name, input, output);
    if (weights.bias) bindings.device.kernels.addBias({ bias: weights.bias, out: output });
    const adapter = bindings.adapter(name);
    if (!adapter) return;
    const hidden = context.aux([context.rows, adapter.rank], 'compute', `${name}.loraHidden`);
    bindings.device.kernels.gemm({ a: input, b: adapter.a, transposeB: true, out: hidden });
    bindings.device.kernels.gemm({
      a: hidden, b: adapter.b, transposeB: true, out: output, alpha: adapter.scale, accumulate: true,
    });
  },

  backward(context, { x, name }) {
    const { bindings } = context;
    const { device } = bindings;
    const adapter = bindings.adapter(name);
    if (context.needsGradient(x)) {
      context.contribute(x, (dX, accumulate) => pullBackWeight(context, bindings.linear(name), dX, accumulate));
    }
    if (!adapter) return;
    const dHidden = context.scratch(adapter.rank, `${name}.dLoraHidden`);
    try {
      device.kernels.gemm({ a: context.dOut, b: adapter.b, out: dHidden, alpha: adapter.scale });
      if (adapter.gradients) accumulateGradients(context, { x: context.get(x), dHidden, scale: adapter.scale }, adapter.gradients);
      if (!context.needsGradient(x)) return;
      context.contribute(x, (dX, accumulate) => device.kernels.gemm({ a: dHidden, b: adapter.a, out: dX, accumulate }));
    } finally {
      dHidden.dispose();
    }
  },
};

function applyWeight(context: ForwardContext, weights: LinearWeights, input: Tensor, output: Tensor): void {
  const { kernels }: Device = context.bindings.device;
  if (weights.kind === 'dense') {
    kernels.gemm({ a: input, b: weights.weight, transposeB: true, out: output });
    return;
  }
  const projected = context.scratch(rankOf(weights.v), 'linear.projected');
  try {
    kernels.gemm({ a: input, b: weights.v, transposeB: true, out: projected });
    kernels.gemm({ a: projected, b: weights.u, transposeB: true, out: output });
  } finally {
    projected.dispose();
  }
}

function pullBackWeight(context: BackwardContext, weights: LinearWeights, dX: Tensor, accumulate: boolean): void {
  const { kernels }: Device = context.bindings.device;
  if (weights.kind === 'dense') {
    kernels.gemm({ a: context.dOut, b: weights.weight, out: dX, accumulate });
    return;
  }
  const dProjected = context.scratch(rankOf(weights.v), 'linear.dProjected');
  try {
    kernels.gemm({ a: context.dOut, b: weights.u, out: dProjected });
    kernels.gemm({ a: dProjected, b: weights.v, out: dX, accumulate });
  } finally {
    dProjected.dispose();
  }
}

/** dB += s · dOutᵀ (x Aᵀ), dA += dHiddenᵀ x with dHidden = s · dOut B. */
function accumulateGradients(
  context: BackwardContext,
  { x, dHidden, scale }: { x: Tensor; dHidden: Tensor; scale: number },
  gradients: { a: Tensor; b: Tensor },
): void {
  const { kernels }: Device = context.bindings.device;
  const [hidden] = context.aux;
  if (!hidden) throw new Error('linear: the forward of an adapted layer saved no hidden state');
  kernels.gemm({ a: context.dOut, transposeA: true, b: hidden, out: gradients.b, alpha: scale, accumulate: true });
  kernels.gemm({ a: dHidden, transposeA: true, b: x, out: gradients.a, accumulate: true });
}

function rankOf(v: Tensor): number {
  return v.shape[0] ?? 0;
}
