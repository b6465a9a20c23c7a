import type { BatchShape, RowSource } from '@emloc/models';

import { rehearseRows } from './rehearse-rows.js';

/** Rows of these sizes, by number. */
function rowsOf(sizes: readonly number[]): { source: RowSource; rows: readonly number[] } {
  const shape = ([row = 0]: readonly number[]): BatchShape => ({
    layouts: new Map([['rows', [0, sizes[row] ?? 0]]]),
    integers: new Map(),
    values: new Map(),
    lossWeight: 0,
    items: 1,
  });
  const load = (): Promise<never> => Promise.reject(new Error('nothing is loaded'));
  return { source: { shape, load }, rows: [...sizes.keys()] };
}

/** What a rehearsal comes to where a pass takes 1000, and a row its size. */
async function rehearsed(
  sizes: readonly number[],
  passes: number,
  count?: number,
): Promise<{ readonly total: number; readonly runs: number }> {
  const given = rowsOf(sizes);
  let [done, counted, total, runs] = [0, 0, 0, 0];
  await rehearseRows(
    { ...given, ...(count !== undefined && { count }) },
    {
      passes: () => passes,
      run: (rows) => {
        runs += rows.length;
        done += 1000 + rows.reduce((sum, row) => sum + (sizes[row] ?? 0), 0);
        return Promise.resolve();
      },
      onTimes: (times) => {
        total += times * (done - counted);
        counted = done;
      },
    },
  );
  return { total: total + done - counted, runs };
}

describe('the rehearsal of rows', () => {
  it('comes to what all rows take, with the weights once a pass', async () => {
    expect((await rehearsed([5, 5, 5, 7, 7, 5, 9], 1)).total).toBe(1000 + 4 * 5 + 2 * 7 + 9);
    expect((await rehearsed([5, 5, 5, 5], 3)).total).toBe(3000 + 20);
  });

  it('has rows that stand for many', async () => {
    const { total, runs } = await rehearsed([5, 5, 5], 2, 1e6);
    expect(total).toBeCloseTo(2000 + 5e6);
    expect(runs).toBe(3);
  });

  it('runs a single row once, and none for none', async () => {
    expect(await rehearsed([5], 1)).toEqual({ total: 1005, runs: 1 });
    expect(await rehearsed([], 1)).toEqual({ total: 0, runs: 0 });
  });
});
