import { at } from '@emloc/checked';
import {
  attendedKeys,
  bytesPerElement,
  causalMask,
  type AttentionOptions,
  type RowRange,
} from '@emloc/device';

import { addressOf, roundUp, withScratch, type CudaContext } from '../context.js';
import { multiply } from '../multiply.js';
import { reachOf, scalarMaximum, type AttentionProblem } from './attention-plan.js';

/** What is kept of pairs of a query and a key takes about so many bytes at a time. */
const chunkBytes = 2 ** 26;
/** Of a chunk, unless a sequence is shorter. */
const fewestRows = 64;

export type WideShape = Pick<AttentionOptions, 'q' | 'heads' | 'sequences'>;

/** Queries of a chunk, and elements from one row of pairs to the next. */
export function planChunks({ sequences: { maxLength } }: WideShape, pairBytes: number) {
  const stride = Math.ceil(maxLength / 8) * 8;
  const fitting = Math.floor(chunkBytes / (stride * pairBytes) / fewestRows) * fewestRows;
  return { rows: Math.min(maxLength, Math.max(fewestRows, fitting)), stride };
}

/** Scores and probabilities. */
function chunkOf(options: WideShape) {
  return planChunks(options, 4 + bytesPerElement[options.q.dtype]);
}

/** Scratch bytes of `attention`: none but for heads that its own kernels do not hold. */
export function attentionScratchBytes(options: WideShape): number {
  const { q, heads } = options;
  if (q.dim(1) / heads <= scalarMaximum || q.size === 0) return 0;
  return scoreBytes(options) + probabilityBytes(options);
}

function scoreBytes(options: WideShape): number {
  const { rows, stride } = chunkOf(options);
  return roundUp(rows * stride * 4);
}

function probabilityBytes(options: WideShape): number {
  const { rows, stride } = chunkOf(options);
  return roundUp(rows * stride * bytesPerElement[options.q.dtype]);
}

/** Some queries of one head and the keys that they attend to, counted in their sequence. */
export interface Chunk {
  readonly head: number;
  readonly start: number;
  readonly length: number;
  readonly queries: RowRange;
  readonly keys: RowRange;
}

/** Chunk by chunk and head by head: a product for the scores, softmax, one with the values. */
export function attentionWide(
  context: CudaContext,
  options: AttentionOptions,
  problem: AttentionProblem,
): void {
  const bytes = attentionScratchBytes(options);
  if (bytes === 0) return;
  withScratch(context, bytes, (scores) => {
    const probabilities = scores + scoreBytes(options);
    for (const chunk of chunksOf(options))
      attendChunk(context, { options, problem, chunk, scores, probabilities });
  });
}

/** Chunk by chunk, all heads of each. */
function chunksOf(options: AttentionOptions): Chunk[] {
  const heads = Array.from({ length: options.heads }, (_, head) => head);
  const { rows } = chunkOf(options);
  return spansOf(options.sequences).flatMap((span) =>
    queryChunks(options, span.length, rows).flatMap((chunk) =>
      heads.map((head) => ({ ...span, ...chunk, head })),
    ),
  );
}

/** First row and rows of each sequence. */
export function spansOf({ offsets }: AttentionOptions['sequences']) {
  return offsets.slice(1).map((end, index) => {
    const start = at(offsets, index);
    return { start, length: end - start };
  });
}

/** Up to `rows` queries of a sequence at a time and the keys that some of them attend to. */
export function queryChunks(
  { mask = causalMask }: Pick<AttentionOptions, 'mask'>,
  length: number,
  rows: number,
): readonly { readonly queries: RowRange; readonly keys: RowRange }[] {
  return Array.from({ length: Math.ceil(length / rows) }, (_, index) => {
    const queries = { first: index * rows, end: Math.min(length, (index + 1) * rows) };
    return { queries, keys: attendedKeys(mask, queries, length) };
  });
}

interface ChunkLaunch {
  readonly options: AttentionOptions;
  readonly problem: AttentionProblem;
  readonly chunk: Chunk;
  /** Addresses. */
  readonly scores: number;
  readonly probabilities: number;
}

function attendChunk(context: CudaContext, launch: ChunkLaunch): void {
  const { options, problem, chunk, scores, probabilities } = launch;
  const { head, start, queries, keys } = chunk;
  const { heads, kvHeads, q, k, v, out } = options;
  const { headDim, dtype } = problem;
  const elementBytes = bytesPerElement[dtype];
  const [width, keyWidth] = [heads * headDim, kvHeads * headDim];
  const keyHead = Math.floor((head * kvHeads) / heads);
  const ofQuery = ((start + queries.first) * width + head * headDim) * elementBytes;
  const ofKey = ((start + keys.first) * keyWidth + keyHead * headDim) * elementBytes;
  const { stride } = chunkOf(options);
  const [rows, columns] = [queries.end - queries.first, keys.end - keys.first];
  const common = { n: rows, alpha: 1, beta: 0, dtype } as const;
  multiply(context, {
    ...{ ...common, m: columns, k: headDim, outDType: 'float32' },
    left: { address: addressOf(context, k) + ofKey, transposed: true, stride: keyWidth },
    right: { address: addressOf(context, q) + ofQuery, transposed: false, stride: width },
    out: { address: scores, stride },
  });
  launchSoftmax(context, launch);
  multiply(context, {
    ...{ ...common, m: headDim, k: columns, outDType: dtype },
    left: { address: addressOf(context, v) + ofKey, transposed: false, stride: keyWidth },
    right: { address: probabilities, transposed: false, stride },
    out: { address: addressOf(context, out) + ofQuery, stride: width },
  });
}

function launchSoftmax(context: CudaContext, launch: ChunkLaunch): void {
  const { options, problem, chunk, scores, probabilities } = launch;
  const { logSumExp, heads, scale, softCap = 0, sinks, relativeBias } = options;
  const { head, start, length, queries, keys } = chunk;
  const ofHead = head * bytesPerElement[problem.dtype];
  const unit = ['attention-softmax', ...problem.macros].join(':');
  context.launcher
    .begin()
    .pointer(scores)
    .pointer(probabilities)
    .pointer(addressOf(context, logSumExp) + (head * problem.rows + start + queries.first) * 4)
    .int32(queries.first)
    .int32(keys.first)
    .int32(keys.end - keys.first)
    .int32(length)
    .int32(chunkOf(options).stride)
    .float32(scale)
    .int32(problem.window)
    .float32(softCap)
    .pointer(sinks ? addressOf(context, sinks) + ofHead : 0)
    .pointer(relativeBias ? addressOf(context, relativeBias) + ofHead : 0)
    .int32(heads)
    .int32(reachOf(options))
    .launch(unit, `attention_softmax_${problem.dtype}`, {
      grid: [queries.end - queries.first],
      block: 256,
    });
}
