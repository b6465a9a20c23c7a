import type { Device, OuterProduct, Tensor } from '@emloc/device';

import type { AdapterBinding, LinearWeights } from '../bindings.js';
import type { LinearDeclaration, ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import type { BackwardContext, ForwardContext } from './operation.js';

/**
 * y = x Wᵀ + bias + s · (x Aᵀ) Bᵀ (LoRA, arXiv 2106.09685), in training with dropout on what A
 * sees. The frozen weight has no gradient. The adapter's product comes first where it can, since
 * the large product that follows adds to it at no cost.
 */
export function linear(block: ProgramBuilder, x: Value, declaration: LinearDeclaration): Value {
  block.linear(x, declaration);
  const { name } = declaration;
  const out = block.value(declaration.outFeatures, x.rows);
  block.add({
    name: 'linear',
    inputs: [x],
    outputs: [out],
    linear: name,
    isCheap: false,
    saves: (isAdapted) => (isAdapted ? [x] : []),
    leavesAux: (isAdapted) => isAdapted,
    forward: (context) => forward(context, { x, out, name }),
    forwardAux: (context) => forwardAux(context, { x, name }),
    backward: (context) => backward(context, { x, name }),
  });
  return out;
}

function forward(
  context: ForwardContext,
  { x, out, name }: { readonly x: Value; readonly out: Value; readonly name: string },
): void {
  const { bindings } = context;
  const weights = bindings.linear(name);
  const adapter = bindings.adapter(name);
  const input = context.get(x);
  const output = context.create(out);
  if (adapter && isPartOfFactors(weights)) {
    applyFactors(context, weights, { x, input, output, adapter, name });
  } else if (!bindings.onLinear) {
    const accumulate = adapter !== null;
    if (adapter) applyAdapter(context, { x, input, output, adapter, name, accumulate: false });
    applyWeight(context, weights, { x, input, output, accumulate, bias: weights.bias });
  } else {
    applyWeight(context, weights, { x, input, output, accumulate: false, bias: null });
    bindings.onLinear(name, input, output);
    if (adapter) applyAdapter(context, { x, input, output, adapter, name, accumulate: true });
    if (weights.bias) bindings.device.kernels.addBias({ bias: weights.bias, out: output });
  }
}

/** x Aᵀ alone, by the product that gives it in `forward`. */
function forwardAux(
  context: ForwardContext,
  { x, name }: { readonly x: Value; readonly name: string },
): void {
  const { bindings } = context;
  const adapter = bindings.adapter(name);
  if (!adapter) return;
  const weights = bindings.linear(name);
  const projection = { x, input: context.get(x), adapter, name };
  if (isPartOfFactors(weights)) projectThroughFactors(context, weights, projection).dispose();
  else projectThroughAdapter(context, projection);
}

function backward(
  context: BackwardContext,
  { x, name }: { readonly x: Value; readonly name: string },
): void {
  const { bindings } = context;
  const adapter = bindings.adapter(name);
  const weights = bindings.linear(name);
  if (!adapter) {
    pullBack(context, weights, { x, name });
    return;
  }
  if (isPartOfFactors(weights)) pullBackFactors(context, weights, { x, adapter, name });
  else pullBackSum(context, weights, { x, adapter, name });
}

/**
 * Without an adapter. What is handed on has the same bits whether it is looked at or not, so the
 * observer gets a product of its own where this one is added to others.
 */
function pullBack(
  context: BackwardContext,
  weights: LinearWeights,
  { x, name }: { readonly x: Value; readonly name: string },
): void {
  const { gradientObserver: observer } = context.bindings;
  const kind = observer?.kindOf(name) ?? null;
  let isSeen = kind === null;
  if (kind === 'output') {
    observer?.observe(name, context.dOut, null);
    isSeen = true;
  }
  if (context.needsGradient(x)) {
    context.contribute(x, (dX, accumulate) => {
      pullBackWeight(context, weights, { x, dX, accumulate });
      if (isSeen || accumulate) return;
      observer?.observe(name, context.dOut, dX);
      isSeen = true;
    });
  }
  if (isSeen) return;
  using inputs = context.scratch(x, x.width, 'linear.inputGradient');
  pullBackWeight(context, weights, { x, dX: inputs, accumulate: false });
  observer?.observe(name, context.dOut, inputs);
}

type Factors = Extract<LinearWeights, { kind: 'lowRank' }> & { readonly adapterAt: number };

function isPartOfFactors(weights: LinearWeights): weights is Factors {
  return weights.kind === 'lowRank' && typeof weights.adapterAt === 'number';
}

interface Projection {
  readonly x: Value;
  readonly input: Tensor;
  readonly adapter: AdapterBinding;
  readonly name: string;
}

interface Application extends Projection {
  readonly output: Tensor;
}

/** y = (x Vᵀ) Uᵀ, the adapter's columns among them. */
function applyFactors(
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
function projectThroughFactors(
  context: ForwardContext,
  weights: Factors,
  { x, input, adapter, name }: Projection,
): Tensor {
  const { kernels } = context.bindings.device;
  using projected = context.scratch(x, rankOf(weights.v), 'linear.projected');
  kernels.gemm({ a: input, b: weights.v, transposeB: true, out: projected });
  if (!context.keepsAux) return projected.retain();
  const hidden = context.aux([context.rows(x), adapter.rank], 'compute', `${name}.loraHidden`);
  kernels.copyBlocks({
    copies: [{ x: projected, xColumn: weights.adapterAt, columns: adapter.rank, out: hidden }],
  });
  return projected.retain();
}

/** y (+)= s · (d(x) Aᵀ) Bᵀ with dropout d. */
function applyAdapter(
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
function projectThroughAdapter(
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

function applyWeight(
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
  const { kernels }: Device = context.bindings.device;
  if (weights.kind === 'dense') {
    kernels.gemm({ a: input, b: weights.weight, transposeB: true, out, accumulate, bias });
    return;
  }
  using projected = context.scratch(x, rankOf(weights.v), 'linear.projected');
  kernels.gemm({ a: input, b: weights.v, transposeB: true, out: projected });
  kernels.gemm({ a: projected, b: weights.u, transposeB: true, out, accumulate, bias });
}

interface Pullback {
  readonly x: Value;
  readonly adapter: AdapterBinding;
  readonly name: string;
}

function pullBackFactors(
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
    dHidden: dProjected,
    column: weights.adapterAt,
  });
}

function pullBackSum(
  context: BackwardContext,
  weights: LinearWeights,
  { x, adapter, name }: Pullback,
): void {
  const { kernels } = context.bindings.device;
  using dHidden = context.scratch(x, adapter.rank, `${name}.dLoraHidden`);
  kernels.gemm({ a: context.dOut, b: adapter.b, out: dHidden, alpha: adapter.scale });
  if (context.needsGradient(x)) {
    context.contribute(x, (dX, accumulate) => {
      pullBackAdapter(context, { x, adapter, name }, { dHidden, dX, accumulate });
      pullBackWeight(context, weights, { x, dX, accumulate: true });
    });
  }
  accumulateGradients(context, { x, adapter, name, dHidden, column: 0 });
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

function pullBackWeight(
  context: BackwardContext,
  weights: LinearWeights,
  { x, dX, accumulate }: { x: Value; dX: Tensor; accumulate: boolean },
): void {
  const { kernels }: Device = context.bindings.device;
  if (weights.kind === 'dense') {
    kernels.gemm({ a: context.dOut, b: weights.weight, out: dX, accumulate });
    return;
  }
  using dProjected = context.scratch(x, rankOf(weights.v), 'linear.dProjected');
  kernels.gemm({ a: context.dOut, b: weights.u, out: dProjected });
  kernels.gemm({ a: dProjected, b: weights.v, out: dX, accumulate });
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
    dHidden,
    column,
  }: Pullback & { readonly dHidden: Tensor; readonly column: number },
): void {
  const { kernels }: Device = context.bindings.device;
  const [hidden] = context.aux;
  const { gradients, rank, scale } = adapter;
  if (!gradients) return;
  if (!hidden)
    throw new Error(`linear: the forward of the adapted layer ${name} saved no hidden state`);
  const { dOut } = context;
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

function rankOf(v: Tensor): number {
  return v.dim(0);
}
