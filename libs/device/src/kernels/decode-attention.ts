import { at } from '@emloc/checked';

import { assertScoring, attendedKeys, causalMask, type AttentionMask } from '../attention-mask.js';
import type { CacheLayout } from '../cache-layout.js';
import { assertCacheRange, assertLive, assertShape, matrix } from '../checks.js';
import { bytesPerElement } from '../dtype.js';
import type { LaunchedKernel } from '../kernel.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';
import type { AttentionOptions } from './attention.js';

/**
 * Softmax attention of one query a sequence, the last of its rows, to the rows that a cache has of
 * it: what `attention` gives for a sequence's last row. The result for a sequence depends on
 * nothing of the others.
 */
export interface DecodeAttentionOptions extends Pick<
  AttentionOptions,
  'heads' | 'kvHeads' | 'scale' | 'mask' | 'softCap' | 'sinks'
> {
  /** (S, heads · headDim) */
  readonly q: Tensor;
  /** (capacity, kvHeads · headDim), the query's own row included */
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly cache: CacheLayout;
  /** (S, heads · headDim) */
  readonly out: Tensor;
}

/** Of the rows that are attended to, it reads every key and value once. */
export const decodeAttention: LaunchedKernel<DecodeAttentionOptions> = {
  work(options) {
    const headLength = check(options);
    const { q, out, heads, kvHeads, keys, mask } = options;
    const rows = attendedRows(options.cache, mask);
    const rowBytes = kvHeads * headLength * bytesPerElement[keys.dtype];
    return { flops: 4 * headLength * heads * rows, bytes: bytesOf(q, out) + 2 * rows * rowBytes };
  },
  probe: {
    boundBy: 'memory',
    prepare: ({ tensor, indices }, { heads, headDim, sequences, sequenceLength }) => {
      const [rows, width] = [sequences * sequenceLength, heads * headDim];
      const [q, out] = [tensor([sequences, width]), tensor([sequences, width])];
      const [keys, values] = [tensor([rows, width]), tensor([rows, width])];
      const starts = Array.from({ length: sequences }, (_, index) => index * sequenceLength);
      const lengths = starts.map(() => sequenceLength);
      const [deviceStarts, deviceLengths] = [starts, lengths].map((each) =>
        indices(Int32Array.from(each)),
      ) as [Tensor, Tensor];
      const cache = { starts, lengths, deviceStarts, deviceLengths };
      const scale = 1 / Math.sqrt(headDim);
      return { options: { q, keys, values, cache, heads, kvHeads: heads, scale, out } };
    },
  },
};

/** Rows of the cache that all queries attend to. */
function attendedRows({ lengths }: CacheLayout, mask: AttentionMask = causalMask): number {
  return lengths.reduce((sum, length) => {
    const { first, end } = attendedKeys(mask, { first: length - 1, end: length }, length);
    return sum + end - first;
  }, 0);
}

/** Returns the length of a head. */
function check(options: DecodeAttentionOptions): number {
  const { q, keys, values, cache, heads, kvHeads, out, sinks } = options;
  const kernel = 'decodeAttention';
  const [sequences, width] = matrix(kernel, q);
  const headLength = width / heads;
  assertLive(q, keys, values, out, cache.deviceStarts, cache.deviceLengths);
  assertShape(kernel, keys, [keys.dim(0), kvHeads * headLength]);
  assertShape(kernel, values, keys.shape);
  assertShape(kernel, out, q.shape);
  assertShape(kernel, cache.deviceStarts, [sequences]);
  assertShape(kernel, cache.deviceLengths, [sequences]);
  if (sinks) assertShape(kernel, sinks, [heads]);
  assertScoring(kernel, options);
  cache.starts.forEach((start, index) =>
    assertCacheRange(kernel, { start, length: at(cache.lengths, index) }, keys),
  );
  return headLength;
}
