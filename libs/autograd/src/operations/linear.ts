import type { LinearWeights } from '../bindings.js';
import type { LinearDeclaration, ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
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
