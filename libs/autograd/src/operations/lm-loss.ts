import { required } from '@emloc/checked';
import { TensorScope, type Tensor } from '@emloc/device';

import type { AdapterBinding, BlockBindings, LinearWeights } from '../bindings.js';
import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import type { ForwardContext } from './operation.js';
import type { RmsNormShape } from './rms-norm.js';

export interface LmLossShape {
  /** Of the rows that predict; before the head. */
  readonly norm: Omit<RmsNormShape, 'heads' | 'weight'> & { readonly weight: string };
  /** Name of the head, a linear (vocabulary, width) without bias. */
  readonly head: string;
  readonly vocabularySize: number;
  /** Streams of integers: the rows that predict, and what comes after each. */
  readonly targetRows: string;
  readonly targets: string;
  /** Factor on the logits. Default 1. */
  readonly logitScale?: number;
  /** c of c · tanh(logit / c), after the factor. Default: none. */
  readonly softCap?: number;
}

/**
 * Rows of logits that exist at once: a function of the vocabulary alone, so that a budget never
 * changes a reduction.
 */
function chunkRows(vocabularySize: number): number {
  const rows = Math.floor(2 ** 25 / vocabularySize / 8) * 8;
  return Math.max(16, Math.min(256, rows));
}

/**
 * Final norm, LM head and cross-entropy on the rows that predict a target. Its results are
 * `losses`, float32 (M): −log p(target), and `predictions`, int32 (M): the most likely tokens. Its
 * gradient is that of gradientScale · Σ losses. Logits exist only for a chunk of rows at a time, so
 * that the gradient is taken with the loss; where they are wanted, they are the result `logits`
 * (M, vocabulary), before their factor and cap.
 */
export function lmLoss(block: ProgramBuilder, x: Value, shape: LmLossShape): void {
  const { head, vocabularySize } = shape;
  block.parameter(shape.norm.weight, [x.width]);
  block.linear(x, { name: head, outFeatures: vocabularySize, isTrainable: false });
  const { logitScale: factor = 1, softCap = null } = shape;
  block.logits({ vocabularySize, factor, softCap });
  block.add({
    name: 'lmLoss',
    inputs: [x],
    outputs: [],
    linear: head,
    isLoss: true,
    isCheap: false,
    saves: () => [],
    leavesAux: () => true,
    forward: (context) => forward(context, x, shape),
    backward(context) {
      const [dX] = context.aux;
      if (context.needsGradient(x))
        context.passThrough(x, required(dX, 'gradient that the forward of lmLoss leaves'));
    },
  });
}

/** What all chunks share. */
interface Head {
  readonly bindings: BlockBindings;
  readonly shape: LmLossShape;
  readonly x: Tensor;
  /** (M) each */
  readonly losses: Tensor;
  readonly predictions: Tensor;
  readonly logits: Tensor | null;
  /** (N, width) */
  readonly dX: Tensor | null;
}

function forward(context: ForwardContext, x: Value, shape: LmLossShape): void {
  const { bindings } = context;
  const count = bindings.integers(shape.targets).dim(0);
  const input = context.get(x);
  const losses = context.result('losses', [count], 'float32');
  const predictions = context.result('predictions', [count], 'int32');
  const logits = bindings.wantsLogits
    ? context.result('logits', [count, shape.vocabularySize], 'compute')
    : null;
  const dX = context.keepsAux ? context.aux(input.shape, 'compute', 'lmLoss.dX') : null;
  if (dX) bindings.device.kernels.fill({ out: dX, value: 0 });
  const chunk = chunkRows(shape.vocabularySize);
  const head = { bindings, shape, x: input, losses, predictions, logits, dX };
  for (let start = 0; start < count; start += chunk)
    runChunk(head, { start, end: Math.min(count, start + chunk) });
}

function runChunk(
  { bindings, shape, x, losses, predictions, logits: wanted, dX }: Head,
  { start, end }: { readonly start: number; readonly end: number },
): void {
  const { device, gradientScale } = bindings;
  const { kernels, profile } = device;
  const { epsilon, weightOffset } = shape.norm;
  const norm = { weight: bindings.parameter(shape.norm.weight), weightOffset };
  const table = denseWeight(bindings.linear(shape.head), shape.head);
  const rows = bindings.integers(shape.targetRows).rows(start, end);
  using scope = new TensorScope(device, 'lmLoss');
  const allocate = (width: number, label: string): Tensor =>
    scope.own(
      device.allocate([end - start, width], profile.computeDType, 'activations', `lmLoss.${label}`),
    );
  const width = x.dim(1);
  const inverseRms = scope.own(
    device.allocate([end - start], 'float32', 'activations', 'lmLoss.inverseRms'),
  );
  const gathered = allocate(width, 'x');
  kernels.gatherRows({ table: x, rows, out: gathered });
  const normed = allocate(width, 'normed');
  kernels.rmsNorm({ ...norm, x: gathered, epsilon, out: normed, inverseRms });
  const logits = wanted?.rows(start, end) ?? allocate(shape.vocabularySize, 'logits');
  kernels.gemm({ a: normed, b: table, transposeB: true, out: logits });
  const adapter = bindings.adapter(shape.head);
  if (adapter) addAdapter(adapter, { normed, logits, hidden: allocate(adapter.rank, 'hidden') });
  kernels.crossEntropy({
    logits,
    targets: bindings.integers(shape.targets).rows(start, end),
    loss: losses.rows(start, end),
    prediction: predictions.rows(start, end),
    logitScale: shape.logitScale,
    softCap: shape.softCap,
    gradientScale: dX ? required(gradientScale ?? undefined, 'gradient scale') : undefined,
  });
  if (!dX) return;
  kernels.gemm({ a: logits, b: table, out: normed });
  const dGathered = allocate(width, 'dX');
  kernels.rmsNormBackward({ ...norm, dOut: normed, x: gathered, inverseRms, dX: dGathered });
  kernels.scatterRows({ x: dGathered, rows, out: dX });

  /** Of an adapter that was made elsewhere: none is trained on a head. */
  function addAdapter(
    { a, b, scale }: AdapterBinding,
    operands: { readonly normed: Tensor; readonly logits: Tensor; readonly hidden: Tensor },
  ): void {
    const { hidden, logits: out } = operands;
    kernels.gemm({ a: operands.normed, b: a, transposeB: true, out: hidden });
    kernels.gemm({ a: hidden, b, transposeB: true, out, alpha: scale, accumulate: true });
  }
}

function denseWeight(weights: LinearWeights, name: string): Tensor {
  if (weights.kind !== 'dense') throw new Error(`lmLoss: ${name} is no whole weight`);
  return weights.weight;
}
