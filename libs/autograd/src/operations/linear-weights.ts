import type { Tensor } from '@emloc/device';

import type { LinearWeights } from '../bindings.js';
import type { Value } from '../value.js';
import type { BackwardContext, ForwardContext } from './operation.js';

/** y (+)= x Wᵀ + bias, W whole or as its factors. */
export function applyWeight(
  context: ForwardContext,
  weights: LinearWeights,
  {
    x,
    input,
    output: out,
    accumulate,
    bias,
  }: { x: Value; input: Tensor; output: Tensor; accumulate: boolean; bias: Tensor | null },
): void {
  const { kernels } = context.bindings.device;
  if (weights.kind === 'dense') {
    kernels.gemm({ a: input, b: weights.weight, transposeB: true, out, accumulate, bias });
    return;
  }
  using projected = context.scratch(x, rankOf(weights.v), 'linear.projected');
  kernels.gemm({ a: input, b: weights.v, transposeB: true, out: projected });
  kernels.gemm({ a: projected, b: weights.u, transposeB: true, out, accumulate, bias });
}

/** dX (+)= dOut W. */
export function pullBackWeight(
  context: BackwardContext,
  weights: LinearWeights,
  { x, dOut, dX, accumulate }: { x: Value; dOut: Tensor; dX: Tensor; accumulate: boolean },
): void {
  const { kernels } = context.bindings.device;
  if (weights.kind === 'dense') {
    kernels.gemm({ a: dOut, b: weights.weight, out: dX, accumulate });
    return;
  }
  using dProjected = context.scratch(x, rankOf(weights.v), 'linear.dProjected');
  kernels.gemm({ a: dOut, b: weights.u, out: dProjected });
  kernels.gemm({ a: dProjected, b: weights.v, out: dX, accumulate });
}

/** Rows of V (rank, in), the padding among them. */
export function rankOf(v: Tensor): number {
  return v.dim(0);
}
