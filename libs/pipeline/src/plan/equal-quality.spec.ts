import { parseLevels } from '../options/levels.js';
import { equalLevels } from './equal-quality.js';

describe('levels of the quality of plain steps', () => {
  it('are those that were measured', () => {
    expect(equalLevels(300, { batch: 16, rows: 7000 })).toEqual([
      { levels: '0.25:400,0.5:200,1:60', hasLargeBatches: false },
      { levels: '0.25:400,0.5:200,1:30x64', hasLargeBatches: true },
    ]);
  });

  it('have a step each at least, and no more rows in a batch than there are', () => {
    const [only, ...others] = equalLevels(1, { batch: 8, rows: 31 });
    expect(others).toEqual([]);
    expect(parseLevels('levels', only?.levels ?? '').map(({ steps }) => steps)).toEqual([2, 1, 1]);
  });

  it('are none where they would be more steps than a job may have', () => {
    expect(equalLevels(Number.MAX_SAFE_INTEGER / 4, { batch: 1, rows: 100 })).toEqual([]);
  });
});
