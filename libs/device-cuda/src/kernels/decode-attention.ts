import { at, last } from '@emloc/checked';
import {
  assertScoring,
  attendedKeys,
  causalMask,
  DeviceError,
  type DecodeAttentionOptions,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  rowsAndColumns,
  withScratch,
  type CudaContext,
} from '../context.js';

/** CHUNK and THREADS of decode-attention.cu, and elements that a thread accesses at once. */
const chunkKeys = 256;
const threads = 128;
const laneElements = 8;
/** Threads of a key, at most. */
const mostLanes = 32;
/** Heads that a block does at once, by the accesses of a thread for each: what registers hold. */
const groupSizes = { 1: [1, 2, 4, 8], 2: [1, 2, 4] } as const;
const largestHead = 2 * mostLanes * laneElements;

interface DecodeProblem {
  readonly sequences: number;
  readonly headDim: number;
  readonly dtype: 'float32' | 'bfloat16';
  /** Of the sequence that attends to most. */
  readonly chunks: number;
  /** Rows of a window; 0 where there is none. */
  readonly window: number;
  readonly unit: string;
  /** Blocks a key head. */
  readonly blocks: number;
}

export function decodeAttention(context: CudaContext, options: DecodeAttentionOptions): void {
  const problem = inspect(options);
  if (problem.chunks <= 1) return launchChunks(context, options, problem, 0);
  withScratch(context, decodeAttentionScratchBytes(options), (parts) => {
    launchChunks(context, options, problem, parts);
    launchParts(context, options, problem, parts);
  });
}

/** Sums of values, their maximum and their sum, float32, for every part of a head. */
export function decodeAttentionScratchBytes(options: DecodeAttentionOptions): number {
  const { q, heads } = options;
  const chunks = chunksOf(options);
  return chunks <= 1 ? 0 : roundUp(q.dim(0) * heads * chunks * (q.dim(1) / heads + 2) * 4);
}

function launchChunks(
  context: CudaContext,
  {
    q,
    keys,
    values,
    cache,
    out,
    heads,
    kvHeads,
    scale,
    softCap = 0,
    sinks,
  }: DecodeAttentionOptions,
  { sequences, headDim, dtype, chunks, window, unit, blocks }: DecodeProblem,
  parts: number,
): void {
  const { launcher } = context;
  launcher.begin();
  for (const tensor of [q, keys, values, cache.deviceStarts, cache.deviceLengths, out])
    launcher.pointer(addressOf(context, tensor));
  launcher
    .pointer(parts)
    .int32(heads)
    .int32(kvHeads)
    .int32(headDim)
    .float32(scale)
    .int32(window)
    .float32(softCap)
    .pointer(sinks ? addressOf(context, sinks) : 0)
    .launch(unit, `decode_attention_${dtype}`, {
      grid: [chunks, kvHeads * blocks, sequences],
      block: threads,
    });
}

function launchParts(
  context: CudaContext,
  { cache, out, heads, sinks }: DecodeAttentionOptions,
  { sequences, headDim, dtype, chunks, window, unit }: DecodeProblem,
  parts: number,
): void {
  context.launcher
    .begin()
    .pointer(parts)
    .pointer(addressOf(context, cache.deviceLengths))
    .pointer(addressOf(context, out))
    .int32(heads)
    .int32(headDim)
    .int32(window)
    .int32(chunks)
    .pointer(sinks ? addressOf(context, sinks) : 0)
    .launch(unit, `decode_parts_${dtype}`, { grid: [heads, sequences], block: threads });
}

function chunksOf({ cache, mask = causalMask }: DecodeAttentionOptions): number {
  return cache.lengths.reduce((most, length) => {
    const { first, end } = attendedKeys(mask, { first: length - 1, end: length }, length);
    return Math.max(most, Math.ceil((end - first) / chunkKeys));
  }, 0);
}

/** @throws DeviceError for operands that do not belong together, and for what has no kernel */
function inspect(options: DecodeAttentionOptions): DecodeProblem {
  const { q, keys, values, cache, out, heads, kvHeads, mask, softCap, sinks } = options;
  const operation = 'decodeAttention';
  const [sequences, columns] = rowsAndColumns(operation, q);
  const headDim = columns / heads;
  if (!Number.isInteger(headDim) || heads % kvHeads !== 0)
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: ${operation}: ${columns} columns, ${heads} heads, ${kvHeads} key heads do not divide`,
    );
  const capacity = keys.dim(0);
  for (const tensor of [keys, values])
    expectShape(operation, tensor, [capacity, kvHeads * headDim]);
  expectShape(operation, out, [sequences, columns]);
  for (const tensor of [cache.deviceStarts, cache.deviceLengths]) {
    expectShape(operation, tensor, [sequences]);
    expectDType(operation, ['int32'], tensor);
  }
  if (sinks) expectShape(operation, sinks, [heads]);
  const dtypes = ['float32', 'bfloat16'] as const;
  const dtype = expectDType(operation, dtypes, q, keys, values, out, ...(sinks ? [sinks] : []));
  assertScoring(`cuda: ${operation}`, options);
  assertRanges(options, capacity);
  if (headDim > largestHead)
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `cuda: ${operation}: heads of ${headDim}, at most ${largestHead}`,
    );
  const group = heads / kvHeads;
  const eights = headDim > mostLanes * laneElements ? 2 : 1;
  const sizes = groupSizes[eights];
  const size = sizes.find((each) => group <= each) ?? last(sizes);
  return {
    ...{ sequences, headDim, dtype, chunks: chunksOf(options) },
    window: mask?.kind === 'window' ? mask.window : 0,
    unit: unitOf({ headDim, eights, size, isCapped: softCap !== undefined }),
    blocks: Math.ceil(group / size),
  };
}

function unitOf({
  headDim,
  eights,
  size,
  isCapped,
}: {
  readonly headDim: number;
  readonly eights: 1 | 2;
  readonly size: number;
  readonly isCapped: boolean;
}): string {
  const lanes = 2 ** Math.ceil(Math.log2(Math.ceil(headDim / (laneElements * eights))));
  const aligned = headDim % laneElements === 0 ? 1 : 0;
  const macros = [`LANES=${lanes}`, `GROUP=${size}`, `ALIGNED=${aligned}`];
  const others = [...(eights > 1 ? [`EIGHTS=${eights}`] : []), ...(isCapped ? ['SOFT_CAP=1'] : [])];
  return ['decode-attention', ...macros, ...others].join(':');
}

function assertRanges({ cache }: DecodeAttentionOptions, capacity: number): void {
  cache.starts.forEach((start, index) => {
    const length = at(cache.lengths, index);
    if (start >= 0 && length >= 1 && start + length <= capacity) return;
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: decodeAttention: sequence ${index} has ${length} rows from row ${start} of a cache of ${capacity}`,
    );
  });
}
