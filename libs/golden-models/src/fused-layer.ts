import { at } from '@emloc/checked';

import type { MeasuredGradients } from './compare.js';
import { goldenAdapter, goldenAlpha, goldenRank } from './golden-adapter.js';

/** The rows of a fused layer that are one part's, in the part's order. */
export type PartRows = readonly number[];

/** Factors are row-major: a is (rank, inFeatures), b (outFeatures, rank). */
export interface FusedAdapter {
  readonly rank: number;
  readonly alpha: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** q, k and v of equal size, one after another: the towers of InternVL. */
export function thirds(outFeatures: number): readonly PartRows[] {
  const size = outFeatures / 3;
  return [0, 1, 2].map((part) => Array.from({ length: size }, (_, row) => part * size + row));
}

export interface HeadShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** q, k and v of InternLM2's wqkv: for each key head its query heads, then itself, then a value. */
export function groupedRows({ heads, kvHeads, headDim }: HeadShape): readonly PartRows[] {
  const queries = heads / kvHeads;
  const headRows = (group: number, place: number): PartRows =>
    Array.from({ length: headDim }, (_, row) => (group * (queries + 2) + place) * headDim + row);
  const groups = Array.from({ length: kvHeads }, (_, group) => group);
  const places = Array.from({ length: queries }, (_, place) => place);
  return [
    groups.flatMap((group) => places.flatMap((place) => headRows(group, place))),
    groups.flatMap((group) => headRows(group, queries)),
    groups.flatMap((group) => headRows(group, queries + 1)),
  ];
}

/**
 * One LoRA on a fused layer that does what the golden's does on each of its parts: the factors A
 * stand above each other, and B is zero but where a part's rows meet its ranks.
 */
export function fuseAdapters(inFeatures: number, parts: readonly PartRows[]): FusedAdapter {
  const rank = goldenRank * parts.length;
  const size = goldenRank * inFeatures;
  const a = new Float32Array(size * parts.length);
  const b = new Float32Array(rank * parts.reduce((sum, rows) => sum + rows.length, 0));
  parts.forEach((rows, part) => {
    const adapter = goldenAdapter(inFeatures, rows.length);
    a.set(adapter.a, part * size);
    rows.forEach((fused, row) => {
      const values = adapter.b.subarray(row * goldenRank, (row + 1) * goldenRank);
      b.set(values, fused * rank + part * goldenRank);
    });
  });
  return { rank, alpha: goldenAlpha * parts.length, a, b };
}

/** The gradients of each part's LoRA, from those of the fused one. */
export function splitGradients(
  { a, b }: MeasuredGradients,
  parts: readonly PartRows[],
): readonly MeasuredGradients[] {
  const rank = goldenRank * parts.length;
  const size = a.length / parts.length;
  return parts.map((rows, part) => ({
    a: a.slice(part * size, (part + 1) * size),
    b: Float32Array.from({ length: rows.length * goldenRank }, (_, index) => {
      const fused = at(rows, Math.floor(index / goldenRank));
      return at(b, fused * rank + part * goldenRank + (index % goldenRank));
    }),
  }));
}
