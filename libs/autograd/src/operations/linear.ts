import type { Tensor } from '@emloc/device';

import type { AdapterBinding, LinearWeights } from '../bindings.js';
import type { LinearDeclaration, ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import {
  applyMagnitude,
  beginDora,
  hasMagnitude,
  pullBackMagnitude,
  type DoraAuxiliaries,
  type DoraBinding,
} from './dora.js';
import {
  applyAdapter,
  applyFactors,
  isPartOfFactors,
  projectThroughAdapter,
  projectThroughFactors,
  pullBackFactors,
  pullBackSum,
} from './linear-adapter.js';
import { applyWeight, pullBackWeight } from './linear-weights.js';
import type { BackwardContext, ForwardContext } from './operation.js';

/**
 * y = x Wᵀ + bias + s · (x Aᵀ) Bᵀ (LoRA, arXiv 2106.09685), in training with dropout on what A
 * sees; with a magnitude (DoRA, arXiv 2402.09353) all but the bias is scaled then. The frozen
 * weight has no gradient. The adapter's product comes first where it can, since the large product
 * that follows adds to it at no cost.
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
    forwardAux: (context) => forwardAux(context, { x, out, name }),
    backward: (context) => backward(context, { x, name }),
  });
  return out;
}

interface LinearPlace {
  readonly x: Value;
  readonly out: Value;
  readonly name: string;
}

function forward(context: ForwardContext, { x, out, name }: LinearPlace): void {
  const { bindings } = context;
  const weights = bindings.linear(name);
  const adapter = bindings.adapter(name);
  const input = context.get(x);
  const output = context.create(out);
  const { bias } = weights;
  if (adapter && isPartOfFactors(weights)) {
    applyFactors(context, weights, { x, input, output, adapter, name });
  } else if (hasMagnitude(adapter)) {
    const kept = sumForMagnitude(context, weights, { x, out, name, adapter });
    applyMagnitude(context, kept, { adapter, x, output });
    if (bias) bindings.device.kernels.addBias({ bias, out: output });
  } else {
    applySum(context, weights, { x, input, output, adapter, name, bias });
  }
}

/** y = x Wᵀ + bias + s · (x Aᵀ) Bᵀ. */
function applySum(
  context: ForwardContext,
  weights: LinearWeights,
  {
    adapter,
    name,
    ...operands
  }: {
    readonly x: Value;
    readonly input: Tensor;
    readonly output: Tensor;
    readonly adapter: AdapterBinding | null;
    readonly name: string;
    readonly bias: Tensor | null;
  },
): void {
  const { bindings } = context;
  const { input, output, bias } = operands;
  if (!bindings.onLinear) {
    const accumulate = adapter !== null;
    if (adapter) applyAdapter(context, { ...operands, adapter, name, accumulate: false });
    applyWeight(context, weights, { ...operands, accumulate });
  } else {
    applyWeight(context, weights, { ...operands, accumulate: false, bias: null });
    bindings.onLinear(name, input, output);
    if (adapter) applyAdapter(context, { ...operands, adapter, name, accumulate: true });
    if (bias) bindings.device.kernels.addBias({ bias, out: output });
  }
}

/** What the magnitude scales, without bias. */
function sumForMagnitude(
  context: ForwardContext,
  weights: LinearWeights,
  { x, out, name, adapter }: LinearPlace & { readonly adapter: DoraBinding },
): DoraAuxiliaries {
  const kept = beginDora(context, weights, { out, adapter, name });
  const input = context.get(x);
  applySum(context, weights, { x, input, output: kept.sum, adapter, name, bias: null });
  return kept;
}

/** x Aᵀ, by the product that gives it in `forward`, and what a magnitude scales. */
function forwardAux(context: ForwardContext, { x, out, name }: LinearPlace): void {
  const { bindings } = context;
  const adapter = bindings.adapter(name);
  if (!adapter) return;
  const weights = bindings.linear(name);
  const projection = { x, input: context.get(x), adapter, name };
  if (isPartOfFactors(weights)) projectThroughFactors(context, weights, projection).dispose();
  else if (hasMagnitude(adapter)) sumForMagnitude(context, weights, { x, out, name, adapter });
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
  if (isPartOfFactors(weights)) {
    pullBackFactors(context, weights, { x, adapter, name });
  } else if (hasMagnitude(adapter)) {
    using dSum = pullBackMagnitude(context, { adapter, x, name });
    pullBackSum(context, weights, { x, adapter, name, dOut: dSum });
  } else {
    pullBackSum(context, weights, { x, adapter, name, dOut: context.dOut });
  }
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
  const { dOut } = context;
  const { gradientObserver: observer } = context.bindings;
  const kind = observer?.kindOf(name) ?? null;
  let isSeen = kind === null;
  if (kind === 'output') {
    observer?.observe(name, dOut, null);
    isSeen = true;
  }
  if (context.needsGradient(x)) {
    context.contribute(x, (dX, accumulate) => {
      pullBackWeight(context, weights, { x, dOut, dX, accumulate });
      if (isSeen || accumulate) return;
      observer?.observe(name, dOut, dX);
      isSeen = true;
    });
  }
  if (isSeen) return;
  using inputs = context.scratch(x, x.width, 'linear.inputGradient');
  pullBackWeight(context, weights, { x, dOut, dX: inputs, accumulate: false });
  observer?.observe(name, dOut, inputs);
}
