import { fuseAdapters, groupedRows, splitGradients, thirds, type PartRows } from './fused-layer.js';
import { goldenAdapter, type GoldenAdapter } from './golden-adapter.js';

/** scale · B A, (out, in) */
function product({ a, b }: GoldenAdapter, rank: number, inFeatures: number, scale: number) {
  const rows = b.length / rank;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: inFeatures }, (__, column) => {
      let sum = 0;
      for (let k = 0; k < rank; k++)
        sum += (b.at(row * rank + k) ?? NaN) * (a.at(k * inFeatures + column) ?? NaN);
      return scale * sum;
    }),
  );
}

const flat = (parts: readonly PartRows[]): readonly number[] =>
  parts.flat().sort((one, other) => one - other);

describe('rows of a fused layer', () => {
  it('are thirds in a tower', () => {
    expect(thirds(6)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
  });

  it('go by key head in InternLM2', () => {
    const [q, k, v] = groupedRows({ heads: 4, kvHeads: 2, headDim: 2 });

    expect(q).toEqual([0, 1, 2, 3, 8, 9, 10, 11]);
    expect(k).toEqual([4, 5, 12, 13]);
    expect(v).toEqual([6, 7, 14, 15]);
  });

  it('are each of one part', () => {
    const parts = groupedRows({ heads: 9, kvHeads: 3, headDim: 8 });

    expect(flat(parts)).toEqual(Array.from({ length: 15 * 8 }, (_, row) => row));
  });
});

describe('fuseAdapters', () => {
  const inFeatures = 5;
  const parts = groupedRows({ heads: 4, kvHeads: 2, headDim: 2 });

  it('adds to every row what the LoRA of its part adds', () => {
    const { rank, alpha, a, b } = fuseAdapters(inFeatures, parts);
    const fused = product({ a, b }, rank, inFeatures, alpha / rank);

    for (const rows of parts) {
      const alone = product(goldenAdapter(inFeatures, rows.length), 4, inFeatures, 2);
      expect(rows.map((row) => fused.at(row))).toEqual(alone);
    }
  });

  it('is undone by splitGradients', () => {
    const split = splitGradients(fuseAdapters(inFeatures, parts), parts);

    expect(split).toEqual(parts.map((rows) => goldenAdapter(inFeatures, rows.length)));
  });
});
