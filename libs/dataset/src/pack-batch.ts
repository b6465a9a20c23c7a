import { at } from '@emloc/checked';

import type { EncodedRow } from './encoded-row.js';

/** Rows one after the other, without padding. T tokens in S rows, M of them targets. */
export interface PackedBatch {
  /** (T) */
  readonly ids: Int32Array;
  /** (T), counted from 0 in every row. */
  readonly positions: Int32Array;
  /** (S + 1): row s is `ids[offsets[s] .. offsets[s + 1])`. */
  readonly offsets: readonly number[];
  /** (M), ascending: the tokens whose next token is trained on. */
  readonly targetRows: Int32Array;
  /** (M): those next tokens. */
  readonly targets: Int32Array;
  /** Ascending: the tokens that stand for images, whose rows are replaced by those of the tower. */
  readonly imageRows: Int32Array;
  /** (S): whether tokens of row s were cut off, so that its answer is not whole. */
  readonly isCut: readonly boolean[];
  /** T */
  readonly tokens: number;
  /** M */
  readonly trainedTokens: number;
}

/** Packs rows into one batch, in their order. */
export function packBatch(rows: readonly EncodedRow[]): PackedBatch {
  const offsets = [0];
  for (const { ids } of rows) offsets.push((offsets.at(-1) ?? 0) + ids.length);
  const tokens = offsets.at(-1) ?? 0;
  const ids = new Int32Array(tokens);
  const positions = new Int32Array(tokens);
  const targetRows: number[] = [];
  rows.forEach((row, index) => {
    const start = at(offsets, index);
    ids.set(row.ids, start);
    for (let i = 0; i < row.ids.length; i += 1) positions[start + i] = i;
    for (let i = 1; i < row.ids.length; i += 1)
      if (row.trained[i] === 1) targetRows.push(start + i - 1);
  });
  return {
    ids,
    positions,
    offsets,
    isCut: rows.map(({ isCut = false }) => isCut),
    tokens,
    imageRows: imageRowsOf(rows, offsets),
    targetRows: Int32Array.from(targetRows),
    targets: Int32Array.from(targetRows, (row) => at(ids, row + 1)),
    trainedTokens: targetRows.length,
  };
}

function imageRowsOf(rows: readonly EncodedRow[], offsets: readonly number[]): Int32Array {
  const images = rows.flatMap(({ images: ofRow = [] }, row) =>
    ofRow.map(({ contextStart, contextTokens }) => ({
      start: at(offsets, row) + contextStart,
      contextTokens,
    })),
  );
  const count = images.reduce((sum, { contextTokens }) => sum + contextTokens, 0);
  const imageRows = new Int32Array(count);
  let filled = 0;
  for (const { start, contextTokens } of images)
    for (let token = 0; token < contextTokens; token += 1, filled += 1)
      imageRows[filled] = start + token;
  return imageRows;
}
