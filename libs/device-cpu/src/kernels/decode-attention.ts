import { at } from '@emloc/checked';
import {
  assertScoring,
  attendedKeys,
  causalMask,
  DeviceError,
  type DecodeAttentionOptions,
} from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import type { CpuContext } from '../context.js';
import { float32 } from '../memory.js';
import { productScratchBytes } from '../portable/blocks.js';
import { scratchBytes } from '../scratch.js';

/** A sequence's query, and the rows of the cache that it attends to. */
interface CachedQuery {
  readonly sequence: number;
  readonly keyRow: number;
  readonly keys: number;
}

/** What all queries share. */
interface Operands {
  readonly headLength: number;
  readonly q: Float32Array;
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly sinks: Float32Array | null;
  readonly out: Float32Array;
}

interface Addresses {
  /** (heads of a group, keys) float32 */
  readonly scores: number;
  /** One value each */
  readonly maximum: number;
  readonly sum: number;
}

/** Key head by key head: scores of its group of heads, softmax, product with the values. */
export function decodeAttention(context: CpuContext, options: DecodeAttentionOptions): void {
  const headLength = checkDecodeAttention(options);
  const { sinks, heads, kvHeads } = options;
  const operands = {
    headLength,
    q: float32(options.q),
    keys: float32(options.keys),
    values: float32(options.values),
    sinks: sinks ? float32(sinks) : null,
    out: float32(options.out),
  };
  const { scratch } = context;
  const queries = cachedQueries(options);
  if (queries.length === 0) return;
  const addresses = {
    scores: scratch.take((heads / kvHeads) * mostKeys(queries) * 4),
    maximum: scratch.take(4),
    sum: scratch.take(8),
  };
  for (const query of queries)
    for (let keyHead = 0; keyHead < kvHeads; keyHead += 1)
      attend(context, { options, operands, addresses, query, keyHead });
}

interface GroupAttention {
  readonly options: DecodeAttentionOptions;
  readonly operands: Operands;
  readonly addresses: Addresses;
  readonly query: CachedQuery;
  readonly keyHead: number;
}

function attend(
  { linearAlgebra, scratch, wasm }: CpuContext,
  { options, operands, addresses, query, keyHead }: GroupAttention,
): void {
  const { heads, kvHeads, scale, softCap } = options;
  const { headLength, q, keys, values, sinks, out } = operands;
  const group = heads / kvHeads;
  const head = keyHead * group;
  const width = kvHeads * headLength;
  const first = (query.sequence * heads + head) * headLength;
  const row = query.keyRow * width + keyHead * headLength;
  const count = query.keys;
  const scores = { data: scratch.float32(addresses.scores, group * count), stride: count };
  linearAlgebra.sgemm({
    ...{ m: group, n: count, k: headLength, alpha: scale, accumulate: false, out: scores },
    a: { data: q.subarray(first), stride: headLength },
    b: { data: keys.subarray(row), stride: width },
    transposeB: true,
  });
  if (softCap !== undefined) wasm.softCapRow(addresses.scores, group * count, softCap, 0);
  for (let i = 0; i < group; i += 1) {
    const sink = sinks ? (sinks[head + i] as number) : Number.NEGATIVE_INFINITY;
    const { scores: start, maximum, sum } = addresses;
    wasm.softmaxRows(start + i * count * 4, 1, count, count, count, sink, maximum, sum);
  }
  linearAlgebra.sgemm({
    ...{ m: group, n: headLength, k: count, alpha: 1, accumulate: false, a: scores },
    b: { data: values.subarray(row), stride: width },
    out: { data: out.subarray(first), stride: headLength },
  });
}

function cachedQueries({ cache, mask = causalMask }: DecodeAttentionOptions): CachedQuery[] {
  return cache.starts.map((start, sequence) => {
    const length = cache.lengths[sequence] as number;
    const { first, end } = attendedKeys(mask, { first: length - 1, end: length }, length);
    return { sequence, keyRow: start + first, keys: end - first };
  });
}

function mostKeys(queries: readonly CachedQuery[]): number {
  return queries.reduce((most, { keys }) => Math.max(most, keys), 0);
}

/** Scratch bytes: scores of a group of heads, two values, and a product. */
export function decodeAttentionScratchBytes(options: DecodeAttentionOptions): number {
  const { q, heads, kvHeads } = options;
  const keys = mostKeys(cachedQueries(options));
  const [group, headLength] = [heads / kvHeads, q.dim(1) / heads];
  if (keys === 0) return 0;
  const packing = Math.max(
    productScratchBytes(group, keys, headLength, 4),
    productScratchBytes(group, headLength, keys, 4),
  );
  return scratchBytes(group * keys * 4) + scratchBytes(4) + scratchBytes(8) + packing;
}

/**
 * Length of a head.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH for operands that do not belong together, and for
 * sequences that the cache does not hold
 */
export function checkDecodeAttention(options: DecodeAttentionOptions): number {
  const kernel = 'decodeAttention';
  const { q, keys, values, cache, heads, kvHeads, out, sinks } = options;
  const [sequences, width] = matrix(kernel, q);
  const headLength = width / heads;
  if (!Number.isInteger(headLength) || !Number.isInteger(heads / kvHeads))
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `${kernel}: ${heads} heads and ${kvHeads} key heads do not divide a width of ${width}`,
    );
  const [capacity] = matrix(kernel, keys);
  assertShape(kernel, keys, [capacity, kvHeads * headLength]);
  assertShape(kernel, values, [capacity, kvHeads * headLength]);
  assertShape(kernel, out, [sequences, width]);
  assertShape(kernel, cache.deviceStarts, [sequences]);
  assertShape(kernel, cache.deviceLengths, [sequences]);
  if (sinks) assertShape(kernel, sinks, [heads]);
  assertScoring(kernel, options);
  cache.starts.forEach((start, i) => {
    const length = at(cache.lengths, i);
    if (start >= 0 && length >= 1 && start + length <= capacity) return;
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `${kernel}: sequence ${i} has ${length} rows from row ${start} of a cache of ${capacity}`,
    );
  });
  return headLength;
}
