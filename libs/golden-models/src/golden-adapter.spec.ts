import { goldenAdapter, goldenRank } from './golden-adapter.js';

describe('goldenAdapter', () => {
  it('has waves by the row-major index in both factors', () => {
    const { a, b } = goldenAdapter(9, 5);

    expect(a).toHaveLength(goldenRank * 9);
    expect(b).toHaveLength(5 * goldenRank);
    expect(a[0]).toBe(0);
    expect(a[35]).toBeCloseTo(Math.sin(0.37 * 35) / 3, 7);
    expect(b[0]).toBeCloseTo(0.02, 8);
    expect(b[19]).toBeCloseTo(0.02 * Math.cos(0.73 * 19), 8);
  });
});
