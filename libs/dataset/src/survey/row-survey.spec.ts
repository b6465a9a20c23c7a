import type { EncodedRow } from '../encoded-row.js';
import { LengthHistogram } from './length-histogram.js';
import { RowHashes } from './repeated-rows.js';
import { RowSurveyor } from './row-survey.js';

function rowOf(line: number, ids: readonly number[], more: Partial<EncodedRow> = {}): EncodedRow {
  const trained = ids.map((_, index) => (index > 0 ? 1 : 0));
  return { ids: Int32Array.from(ids), trained: Uint8Array.from(trained), line, ...more };
}

function surveyOf(...rows: readonly EncodedRow[]) {
  const surveyor = new RowSurveyor();
  for (const row of rows) surveyor.add({ kind: 'row', row, tokens: row.ids.length });
  return surveyor.survey();
}

describe('lengths of rows', () => {
  it.each([
    [
      [1, 3, 16, 17, 23, 24, 100],
      '1-1:1 2-2:0 3-3:1 4-5:0 6-7:0 8-11:0 12-15:0 16-23:3 24-31:1 32-47:0 48-63:0 64-95:0 96-127:1',
    ],
    [[53, 60, 61, 70], '52-53:1 54-55:0 56-57:0 58-59:0 60-61:2 62-63:0 64-67:0 68-71:1'],
    [[5], '5-5:1'],
    [[0, 1], '0-0:1 1-1:1'],
  ])('of %j are bins without a gap, as fine as they can be few', (lengths, expected) => {
    const histogram = new LengthHistogram();
    for (const length of lengths) histogram.add(length);
    const { histogram: bins } = histogram.lengths();
    expect(bins.map(({ from, to, rows }) => `${from}-${to}:${rows}`).join(' ')).toBe(expected);
  });

  it('have a bin for each doubling where they are far apart', () => {
    const histogram = new LengthHistogram();
    for (const length of [1, 500_000]) histogram.add(length);
    const { histogram: bins } = histogram.lengths();
    expect(bins.map(({ from }) => from)).toEqual(Array.from({ length: 19 }, (_, k) => 2 ** k));
  });

  it('have quantiles by nearest rank', () => {
    const histogram = new LengthHistogram();
    for (let length = 1; length <= 200; length += 1) histogram.add(length);
    const { p50, p95, p99, longest } = histogram.lengths();
    expect({ p50, p95, p99, longest }).toEqual({ p50: 100, p95: 190, p99: 198, longest: 200 });
  });

  it('are of rows before they are cut, and of dropped ones', () => {
    const surveyor = new RowSurveyor();
    surveyor.add({ kind: 'row', row: rowOf(1, [1, 2]), tokens: 90 });
    surveyor.add({ kind: 'dropped', line: 2, tokens: 70, reason: '' });
    surveyor.add({ kind: 'bad', problems: [] });
    expect(surveyor.survey().lengths).toMatchObject({
      p50: 70,
      longest: 90,
      histogram: expect.arrayContaining([{ from: 88, to: 91, rows: 1 }]),
    });
  });

  it('are none without rows', () => {
    const none = { p50: 0, p95: 0, p99: 0, longest: 0, histogram: [] };
    expect(surveyOf().lengths).toEqual(none);
  });
});

describe('duplicates', () => {
  it('are rows of equal tokens, masks and images, with the numbers of the first ones', () => {
    const image = (path: string) => ({
      ...{ width: 1, height: 1, tiles: 1, maxTiles: 1, contextStart: 0, contextTokens: 1 },
      input: { kind: 'file' as const, path, label: '' },
    });
    const { duplicates } = surveyOf(
      rowOf(1, [1, 2, 3]),
      rowOf(2, [1, 2, 4]),
      rowOf(4, [1, 2, 3], { trained: Uint8Array.of(0, 0, 1) }),
      rowOf(5, [1, 2, 4]),
      rowOf(6, [1, 2, 3], { images: [image('a.png')] }),
      rowOf(7, [1, 2, 3], { images: [image('b.png')] }),
      rowOf(8, [1, 2, 3], { images: [image('a.png')] }),
      rowOf(9, [1, 2, 4]),
    );
    expect(duplicates).toEqual({
      rows: 3,
      groups: 2,
      examples: [
        [{ line: 2 }, { line: 5 }, { line: 9 }],
        [{ line: 6 }, { line: 8 }],
      ],
    });
  });

  it('take the parts of a row together', () => {
    const { duplicates } = surveyOf(
      rowOf(1, [1, 2], { part: 1 }),
      rowOf(1, [3, 4], { part: 2 }),
      rowOf(2, [1, 2], { part: 1 }),
      rowOf(2, [3, 5], { part: 2 }),
      rowOf(3, [1, 2], { part: 1 }),
      rowOf(3, [3, 4], { part: 2 }),
    );
    expect(duplicates.examples).toEqual([[{ line: 1 }, { line: 3 }]]);
  });

  it('are found across files, whose rows are apart', () => {
    const surveyor = new RowSurveyor();
    const parts = [rowOf(1, [1, 2], { part: 1 }), rowOf(1, [3, 4], { part: 2 })];
    for (const file of [1, 2])
      for (const row of parts) surveyor.add({ kind: 'row', row, tokens: 2 }, file);
    expect(surveyor.survey().duplicates.examples).toEqual([
      [
        { file: 1, line: 1 },
        { file: 2, line: 1 },
      ],
    ]);
  });

  it('name the data set of a list, and as many rows as are worth reading', () => {
    const hashes = new RowHashes();
    for (let line = 1; line <= 5000; line += 1) {
      const hash = Buffer.alloc(8);
      hash.writeUInt32LE(line % 1250);
      hashes.add(hash, { line, set: 2 });
    }
    const { rows, groups, examples } = hashes.repeated();
    expect({ rows, groups }).toEqual({ rows: 3750, groups: 1250 });
    expect(examples).toHaveLength(5);
    expect(examples[0]).toEqual([1, 1251, 2501, 3751].map((line) => ({ line, set: 2 })));
  });
});
