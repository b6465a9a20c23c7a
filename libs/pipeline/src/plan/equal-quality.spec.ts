import { parseLevels } from '../options/levels.js';
import { equalLevels } from './equal-quality.js';

describe('levels of the quality of plain steps', () => {
  it('are those that were measured, with the finest emulators first', () => {
    expect(equalLevels(300, { batch: 16, rows: 7000 })).toEqual([
      { usual: '0.25:400,0.5:200,1:60', large: '0.25:400,0.5:200,1:30x64' },
      { usual: '0.25:400,0.4:200,1:60', large: '0.25:400,0.4:200,1:30x64' },
      { usual: '0.125:600,0.25:400,1:60', large: '0.125:600,0.25:400,1:30x64' },
    ]);
  });

  it('have a step each at least, and no more rows in a batch than there are', () => {
    const all = equalLevels(1, { batch: 8, rows: 31 });
    expect(all.map(({ large }) => large)).toEqual([null, null, null]);
    const steps = all.map(({ usual }) => parseLevels('levels', usual).map((level) => level.steps));
    expect(steps).toEqual([
      [2, 1, 1],
      [2, 1, 1],
      [2, 2, 1],
    ]);
  });

  it('are none where they would be more steps than a job may have', () => {
    expect(equalLevels(Number.MAX_SAFE_INTEGER / 4, { batch: 1, rows: 100 })).toEqual([]);
    const some = equalLevels(4e6, { batch: 1, rows: 100 });
    expect(some.map(({ usual }) => usual)).toEqual([
      '0.25:5333334,0.5:2666667,1:800000',
      '0.25:5333334,0.4:2666667,1:800000',
    ]);
  });
});
