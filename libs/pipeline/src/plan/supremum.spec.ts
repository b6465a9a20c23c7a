import { get } from '@emloc/checked';
import type { EncodedRow } from '@emloc/dataset';
import { TextRows } from '@emloc/tasks';

import { outdoes, weightOf } from './heaviest-batches.js';
import { heaviestRow, supremum, withHeaviest } from './supremum.js';

const lengths = [3, 11, 5, 7, 2];
const rows = new TextRows(
  lengths.map((length): EncodedRow => ({
    ids: new Int32Array(length),
    trained: new Uint8Array(length).fill(1, length === 5 ? 1 : length - 1),
    line: 1,
  })),
);
const batches = [[[0, 1], [2, 3]], [[4]]]; // prettier-ignore

describe('the supremum of batches', () => {
  const shape = supremum(rows, batches);

  it('is outdone by no two rows, and as large as it must be', () => {
    for (const first of lengths.keys())
      for (const second of lengths.keys())
        if (first !== second)
          expect(outdoes(weightOf(shape), weightOf(rows.shape([first, second])))).toBe(true);
    expect(get(shape.layouts, 'tokens')).toEqual([0, 11, 18]);
    expect(get(shape.integers, 'targets')).toBe(5);
  });

  it('is a batch of its own beside the rows', async () => {
    const source = withHeaviest(rows, shape);
    const batch = await source.load([heaviestRow]);
    expect(batch.shape).toBe(shape);
    expect(get(batch.integers, 'ids')).toHaveLength(18);
    expect(source.shape([2, 3])).toEqual(rows.shape([2, 3]));
  });
});
