import type { OuterProduct, Tensor } from '@emloc/device';

import type { AdapterBinding, LinearWeights } from '../bindings.js';
import type { Value } from '../value.js';
import { pullBackWeight, rankOf } from './linear-weights.js';
import type { BackwardContext, ForwardContext } from './operation.js';

type Factors = Extract<LinearWeights, { kind: 'lowRank' }> & { readonly adapterAt: number };

export function isPartOfFactors(weights: LinearWeights): weights is Factors {
  return weights.kind === 'lowRank' && typeof weights.adapterAt === 'number';
}

export interface Projection {
  readonly x: Value;
  readonly input: Tensor;
  readonly adapter: AdapterBinding;
  readonly name: string;
}

interface Application extends Projection {
  readonly output: Tensor;
}

/** y = (x Vᵀ) Uᵀ, the adapter's columns among them. */
export function applyFactors(
  context: ForwardContext,
  weights: Factors,
  { output, ...projection }: Application,
): void {
  const { kernels } = context.bindings.device;
  using projected = projectThroughFactors(context, weights, projection);
  const { u: b, bias } = weights;
  kernels.gemm({ a: projected, b, transposeB: true, out: output, bias });
}

/** x Vᵀ, the caller's; x Aᵀ in it is kept for the backward. */
export function projectThroughFactors(
  context: ForwardContext,
  weights: Factors,
  { x, input, adapter, name }: Projection,
): Tensor {
  const { kernels } = context.bindings.device;
  using projected = context.scratch(x, rankOf(weights.v), 'linear.projected');
  kernels.gemm({ a: input, b: weights.v, transposeB: true, out: projected });
  if (!context.keepsAux) return projected.retain();
  const hidden = context.aux([context.rows(x), adapter.rank], 'compute', `${name}.loraHidden`);
  const { rank: columns } = adapter;
  context.copyLater({ x: projected, xColumn: weights.adapterAt, columns, out: hidden });
  return projected.retain();
}

/** y (+)= s · (d(x) Aᵀ) Bᵀ with dropout d. */
export function applyAdapter(
  context: ForwardContext,
  { output, accumulate, ...projection }: Application & { accumulate: boolean },
): void {
  const { adapter } = projection;
  context.bindings.device.kernels.gemm({
    a: projectThroughAdapter(context, projection),
    b: adapter.b,
    transposeB: true,
    out: output,
    alpha: adapter.scale,
    accumulate,
  });
}

/** d(x) Aᵀ with dropout d, kept for the backward. */
export function projectThroughAdapter(
  context: ForwardContext,
  { x, input, adapter, name }: Projection,
): Tensor {
  const hidden = context.aux([context.rows(x), adapter.rank], 'compute', `${name}.loraHidden`);
  using seen = seenByAdapter(context, { x, input, name });
  context.bindings.device.kernels.gemm({ a: seen, b: adapter.a, transposeB: true, out: hidden });
  return hidden;
}

/** What A sees of the input, with the same mask whenever it is asked for; the caller's. */
function seenByAdapter(
  context: Pick<ForwardContext, 'bindings' | 'scratch'>,
  { x, input, name }: { readonly x: Value; readonly input: Tensor; readonly name: string },
): Tensor {
  const { bindings } = context;
  const dropout = bindings.adapterDropout?.(name) ?? null;
  if (!dropout) return input.retain();
  const seen = context.scratch(x, x.width, `${name}.loraInput`);
  bindings.device.kernels.dropout({ x: input, out: seen, ...dropout });
  return seen;
}

interface Pullback {
  readonly x: Value;
  readonly adapter: AdapterBinding;
  readonly name: string;
}

export function pullBackFactors(
  context: BackwardContext,
  weights: Factors,
  { x, adapter, name }: Pullback,
): void {
  const { kernels } = context.bindings.device;
  using dProjected = context.scratch(x, rankOf(weights.v), 'linear.dProjected');
  kernels.gemm({ a: context.dOut, b: weights.u, out: dProjected });
  if (context.needsGradient(x))
    context.contribute(x, (dX, accumulate) =>
      kernels.gemm({ a: dProjected, b: weights.v, out: dX, accumulate }),
    );
  accumulateGradients(context, {
    x,
    adapter,
    name,
    dOut: context.dOut,
    dHidden: dProjected,
    column: weights.adapterAt,
  });
}

export function pullBackSum(
  context: BackwardContext,
  weights: LinearWeights,
  { x, adapter, name, dOut }: Pullback & { readonly dOut: Tensor },
): void {
  const { kernels } = context.bindings.device;
  using dHidden = context.scratch(x, adapter.rank, `${name}.dLoraHidden`);
  kernels.gemm({ a: dOut, b: adapter.b, out: dHidden, alpha: adapter.scale });
  if (context.needsGradient(x)) {
    context.contribute(x, (dX, accumulate) => {
      pullBackAdapter(context, { x, adapter, name }, { dHidden, dX, accumulate });
      pullBackWeight(context, weights, { x, dOut, dX, accumulate: true });
    });
  }
  accumulateGradients(context, { x, adapter, name, dOut, dHidden, column: 0 });
}

/** dX (+)= d(dHidden A), with the dropout d of the forward. */
function pullBackAdapter(
  context: BackwardContext,
  { x, adapter, name }: Pullback,
  { dHidden, dX, accumulate }: { dHidden: Tensor; dX: Tensor; accumulate: boolean },
): void {
  const { kernels } = context.bindings.device;
  const dropout = context.bindings.adapterDropout?.(name) ?? null;
  if (!dropout) {
    kernels.gemm({ a: dHidden, b: adapter.a, out: dX, accumulate });
    return;
  }
  using whole = context.scratch(x, x.width, `${name}.dLoraInput`);
  kernels.gemm({ a: dHidden, b: adapter.a, out: whole });
  kernels.dropout({ x: whole, out: dX, ...dropout, accumulate });
}

/**
 * dB += s · dOutᵀ (x Aᵀ), dA += dHiddenᵀ x with s · dOut B in the columns of dHidden from `column`
 * on.
 */
function accumulateGradients(
  context: BackwardContext,
  {
    x,
    adapter,
    name,
    dOut,
    dHidden,
    column,
  }: Pullback & { readonly dOut: Tensor; readonly dHidden: Tensor; readonly column: number },
): void {
  const { kernels } = context.bindings.device;
  // A magnitude's come before it.
  const hidden = context.aux.at(-1);
  const { gradients, rank, scale } = adapter;
  if (!gradients) return;
  if (!hidden)
    throw new Error(`linear: the forward of the adapted layer ${name} saved no hidden state`);
  const ofB: OuterProduct = {
    left: hidden,
    leftColumns: rank,
    right: dOut,
    out: gradients.b,
    transposeOut: true,
    alpha: scale,
  };
  const ofA = (input: Tensor): OuterProduct => ({
    left: dHidden,
    leftColumn: column,
    leftColumns: rank,
    right: input,
    out: gradients.a,
  });
  // A gradient that is wider than the input is not worth its memory until the input is there.
  const isWide = dOut.dim(1) > x.width;
  if (isWide) kernels.outerProducts({ products: [ofB] });
  const rest = isWide ? [] : [ofB];
  const isDropped = (context.bindings.adapterDropout?.(name) ?? null) !== null;
  context.multiplyOnceRestored(x, isWide ? [dHidden] : [dHidden, hidden, dOut], (input) => {
    if (!isDropped) return [ofA(input), ...rest];
    // What A has seen is there for its own products alone.
    using seen = seenByAdapter(context, { x, input, name });
    kernels.outerProducts({ products: [ofA(seen), ...rest] });
    return [];
  });
}
