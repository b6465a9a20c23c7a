import { at } from '@emloc/checked';
import { deltaChunkRows } from '@emloc/device';
import type { Batches } from '@emloc/models';

import { heaviestBatches } from './heaviest-batches.js';

/** Batches of sequences of these lengths, each token a target. */
function batchesOf(lengths: readonly (readonly number[])[]): Batches {
  const shapeOf = (row: number) => {
    const offsets = [0];
    for (const length of at(lengths, row)) offsets.push(at(offsets, offsets.length - 1) + length);
    const rows = at(offsets, offsets.length - 1);
    return {
      ...{ layouts: new Map([['tokens', offsets]]), integers: new Map([['targets', rows]]) },
      ...{ values: new Map(), lossWeight: rows, items: rows },
    };
  };
  const source = {
    shape: (rows: readonly number[]) => shapeOf(at(rows, 0)),
    load: () => Promise.reject(new Error('no batch is read')),
  };
  return { source, rows: lengths.map((_, row) => [row]) };
}

const kept = (lengths: readonly (readonly number[])[]): readonly number[] =>
  heaviestBatches(batchesOf(lengths))
    .rows.flat()
    .sort((a, b) => a - b);

describe('heaviestBatches', () => {
  const chunk = deltaChunkRows;

  it('leaves out what another outdoes in everything', () => {
    expect(kept([[7, 5], [7, 6], [3]])).toEqual([1]);
  });

  it('keeps one of several equals', () => {
    expect(kept([[7], [7]])).toHaveLength(1);
  });

  it('keeps the longest row beside more rows in all', () => {
    expect(kept([[9], [5, 5]])).toEqual([0, 1]);
  });

  it('keeps as many rows in more chunks, whose states a delta net keeps', () => {
    expect(
      kept([
        [2 * chunk, chunk],
        [chunk + 1, 2 * chunk - 1],
        [chunk, 2 * chunk],
      ]),
    ).toEqual([0, 1]);
  });
});
