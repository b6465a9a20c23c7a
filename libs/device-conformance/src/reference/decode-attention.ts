import { at } from '@emloc/checked';

import { attention, type AttentionShape } from './attention.js';

/** What a cache holds of sequences: their rows from `starts` on, `lengths` of the shape many. */
export interface CachedInputs {
  /** A row a sequence */
  readonly q: Float64Array;
  readonly keys: Float64Array;
  readonly values: Float64Array;
  readonly starts: readonly number[];
}

/** The last row of `attention` over each sequence alone, whose other queries do not count. */
export function decodeAttention(
  { q, keys, values, starts }: CachedInputs,
  shape: AttentionShape,
): Float64Array {
  const { heads, kvHeads, headLength, lengths } = shape;
  const [width, keyWidth] = [heads * headLength, kvHeads * headLength];
  const out = new Float64Array(starts.length * width);
  starts.forEach((start, sequence) => {
    const length = at(lengths, sequence);
    const rows = (from: Float64Array) =>
      from.subarray(start * keyWidth, (start + length) * keyWidth);
    const queries = new Float64Array(length * width);
    queries.set(q.subarray(sequence * width, (sequence + 1) * width), (length - 1) * width);
    const alone = { ...shape, lengths: [length], lastOnly: true };
    const result = attention({ q: queries, k: rows(keys), v: rows(values) }, alone);
    out.set(result.out.subarray((length - 1) * width), sequence * width);
  });
  return out;
}
