import type { Condition, Picture } from '@emloc/tasks';

import { expectedConditions, type ManyDraws } from './count-conditions.js';

const size = { width: 8, height: 8 };
const pictures: readonly Picture[] = [0, 0, 1].map((caption) => ({
  caption,
  size,
  isClass: false,
}));

const conditionOf = (picture: number, level: number): Condition => ({
  noiseLevel: 1 - level / 4,
  guidance: null,
  caption: pictures[picture]?.caption ?? 0,
});

function draws(drawsOf: readonly (readonly [number, number])[], shares: number[]): ManyDraws {
  const levelShares = (): Float64Array => Float64Array.from(shares);
  return { pictures, drawsOf: new Map(drawsOf), levelShares, conditionOf };
}

describe('the conditions that draws are expected to have', () => {
  it('are the chances of each caption and level, of all of the caption’s pictures', () => {
    const one = expectedConditions([], draws([[2, 1]], [0.5, 0.25, 0.25, 0]));
    expect(one).toBeCloseTo(1);
    const missed = [0.5, 0.25, 0.25].map((share) => (1 - share) ** 3);
    const three = expectedConditions(
      [],
      draws(
        [
          [0, 2],
          [1, 1],
        ],
        [0.5, 0.25, 0.25, 0],
      ),
    );
    expect(three).toBeCloseTo(3 - missed.reduce((sum, each) => sum + each, 0));
  });

  it('are all that there are of very many, without those that are known', () => {
    const many = draws(
      [
        [0, 1e9],
        [2, 1e9],
      ],
      [0.5, 0.25, 0.25, 0],
    );
    expect(expectedConditions([], many)).toBeCloseTo(6);
    expect(expectedConditions([conditionOf(0, 0), conditionOf(2, 3)], many)).toBeCloseTo(5);
  });

  it('are none of no draws', () => {
    expect(expectedConditions([], draws([], [1, 0, 0, 0]))).toBe(0);
  });
});
