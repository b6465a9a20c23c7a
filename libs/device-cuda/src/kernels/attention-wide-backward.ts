import { bytesPerElement, type AttentionBackwardOptions, type Tensor } from '@emloc/device';

import { addressOf, roundUp, type CudaContext } from '../context.js';
import { multiply } from '../multiply.js';
import { shapeFor } from '../shape-for.js';
import type { AttentionProblem } from './attention-plan.js';
import { planChunks, queryChunks, spansOf, type Chunk, type WideShape } from './attention-wide.js';

/** Offsets into scratch memory, in bytes. */
function planOf(options: WideShape) {
  const elementBytes = bytesPerElement[options.q.dtype];
  const headDim = options.q.dim(1) / options.heads;
  const { rows, stride } = planChunks(options, 2 * (4 + elementBytes));
  const products = roundUp(rows * stride * 4);
  const elements = roundUp(rows * stride * elementBytes);
  const sums = roundUp(options.sequences.maxLength * headDim * 4);
  return {
    ...{ rows, stride, scores: 0, gradients: products, probabilities: 2 * products },
    scoreGradients: 2 * products + elements,
    keySums: 2 * (products + elements),
    valueSums: 2 * (products + elements) + sums,
    bytes: 2 * (products + elements + sums),
  };
}

/**
 * Scratch bytes of the backward of heads that no other kernel holds, beside those of delta: two
 * float32 and two of the compute dtype for some queries and their keys, and float32 sums of dK and
 * dV of one key head and sequence.
 */
export function attentionWideBackwardBytes(options: WideShape): number {
  return options.q.size === 0 ? 0 : planOf(options).bytes;
}

interface Launch {
  readonly options: AttentionBackwardOptions;
  readonly problem: AttentionProblem;
  readonly plan: ReturnType<typeof planOf>;
  /** Addresses; delta is Σ dOut · out of each head and query. */
  readonly delta: number;
  readonly scratch: number;
}

/** Key head by key head and, in each, chunk by chunk and head by head, in this order. */
export function attentionWideBackward(
  context: CudaContext,
  options: AttentionBackwardOptions,
  problem: AttentionProblem,
  { delta, scratch }: Pick<Launch, 'delta' | 'scratch'>,
): void {
  if (options.q.size === 0) return;
  const plan = planOf(options);
  const launch = { options, problem, plan, delta, scratch };
  for (const span of spansOf(options.sequences)) {
    const chunks = queryChunks(options, span.length, plan.rows);
    for (let keyHead = 0; keyHead < options.kvHeads; keyHead += 1) {
      clearSums(context, launch);
      for (const chunk of chunks)
        for (const head of headsOf(options, keyHead))
          pullBack(context, launch, { ...span, ...chunk, head });
      writeSums(context, launch, options.dK, { ...span, keyHead, sums: plan.keySums });
      writeSums(context, launch, options.dV, { ...span, keyHead, sums: plan.valueSums });
    }
  }
}

function headsOf({ heads, kvHeads }: AttentionBackwardOptions, keyHead: number): readonly number[] {
  const group = heads / kvHeads;
  return Array.from({ length: group }, (_, index) => keyHead * group + index);
}

/** Of both dK and dV: they lie one behind the other. */
function clearSums({ launcher }: CudaContext, { plan, scratch }: Launch): void {
  const count = (plan.bytes - plan.keySums) / 4;
  launcher
    .begin()
    .pointer(scratch + plan.keySums)
    .pointer(count)
    .launch('attention-softmax-backward', 'attention_clear', shapeFor(count, 1));
}

interface SumsOfHead {
  readonly start: number;
  readonly length: number;
  readonly keyHead: number;
  readonly sums: number;
}

function writeSums(
  context: CudaContext,
  { options, problem, scratch }: Launch,
  target: Tensor,
  { start, length, keyHead, sums }: SumsOfHead,
): void {
  const { headDim, dtype } = problem;
  const stride = options.kvHeads * headDim;
  const first = (start * stride + keyHead * headDim) * bytesPerElement[dtype];
  context.launcher
    .begin()
    .pointer(scratch + sums)
    .pointer(addressOf(context, target) + first)
    .int32(headDim)
    .int32(stride)
    .launch('attention-softmax-backward', `attention_write_sums_${dtype}`, {
      grid: [length],
      block: 128,
    });
}

/**
 * A chunk's products of queries and keys and of gradients and values, the softmax's gradient, and
 * its products with queries, keys and gradients. As cuBLAS counts, matrices are column-major:
 * theirs are the transposes of ours.
 */
function pullBack(context: CudaContext, launch: Launch, chunk: Chunk): void {
  const { options, problem, plan, scratch } = launch;
  const { head, start, queries, keys } = chunk;
  const { heads, kvHeads, q, k, v, dOut, dQ } = options;
  const { headDim, dtype } = problem;
  const [width, keyWidth] = [heads * headDim, kvHeads * headDim];
  const elementBytes = bytesPerElement[dtype];
  const keyHead = Math.floor((head * kvHeads) / heads);
  const ofQuery = ((start + queries.first) * width + head * headDim) * elementBytes;
  const ofKey = ((start + keys.first) * keyWidth + keyHead * headDim) * elementBytes;
  const ofSums = keys.first * headDim * 4;
  const [rows, columns] = [queries.end - queries.first, keys.end - keys.first];
  const common = { alpha: 1, dtype } as const;
  const atQuery = (tensor: Tensor) => ({
    ...{ address: addressOf(context, tensor) + ofQuery, transposed: false, stride: width },
  });
  const atKey = (tensor: Tensor, transposed: boolean) => ({
    ...{ address: addressOf(context, tensor) + ofKey, transposed, stride: keyWidth },
  });
  const pairs = (place: number, transposed: boolean) => ({
    ...{ address: scratch + place, transposed, stride: plan.stride },
  });
  const products = { ...common, m: columns, n: rows, k: headDim, beta: 0 } as const;
  for (const [left, right, place] of [
    [k, q, plan.scores],
    [v, dOut, plan.gradients],
  ] as const) {
    const out = pairs(place, false);
    multiply(context, {
      ...{ ...products, outDType: 'float32', out },
      ...{ left: atKey(left, true), right: atQuery(right) },
    });
  }
  launchSoftmax(context, launch, chunk);
  multiply(context, {
    ...{ ...common, m: headDim, n: rows, k: columns, beta: 0, outDType: dtype },
    ...{ left: atKey(k, false), right: pairs(plan.scoreGradients, false), out: atQuery(dQ) },
  });
  for (const [left, place, sums] of [
    [q, plan.scoreGradients, plan.keySums],
    [dOut, plan.probabilities, plan.valueSums],
  ] as const) {
    multiply(context, {
      ...{ ...common, m: headDim, n: columns, k: rows, beta: 1, outDType: 'float32' },
      ...{ left: atQuery(left), right: pairs(place, true) },
      out: { address: scratch + sums + ofSums, stride: headDim },
    });
  }
}

function launchSoftmax(
  context: CudaContext,
  { options, problem, plan, delta, scratch }: Launch,
  { head, start, length, queries, keys }: Chunk,
): void {
  const { logSumExp, scale, softCap = 0 } = options;
  const ofRow = (head * problem.rows + start + queries.first) * 4;
  const unit = ['attention-softmax-backward', ...problem.macros].join(':');
  context.launcher
    .begin()
    .pointer(scratch + plan.scores)
    .pointer(scratch + plan.gradients)
    .pointer(addressOf(context, logSumExp) + ofRow)
    .pointer(delta + ofRow)
    .pointer(scratch + plan.probabilities)
    .pointer(scratch + plan.scoreGradients)
    .int32(queries.first)
    .int32(keys.first)
    .int32(keys.end - keys.first)
    .int32(length)
    .int32(plan.stride)
    .float32(scale)
    .int32(problem.window)
    .float32(softCap)
    .launch(unit, `attention_softmax_backward_${problem.dtype}`, {
      grid: [queries.end - queries.first],
      block: 256,
    });
}
