import { fillNormal, normalQuantile } from './normal.js';
import { createRandom } from './random.js';

const drawn = (seed: number, count: number): Float32Array =>
  fillNormal(createRandom(seed, 'normals'), new Float32Array(count));

describe('normalQuantile', () => {
  // Python's statistics.NormalDist().inv_cdf.
  it.each([
    [1e-300, -37.0470962993612],
    [1e-12, -7.034483825301132],
    [1e-6, -4.753424308822899],
    [0.001, -3.090232306167813],
    [0.075, -1.4395314709384563],
    [0.0750001, -1.4395307645017297],
    [0.3, -0.5244005127080409],
    [0.95, 1.6448536269514722],
    [0.999, 3.090232306167813],
  ])('of %d is %d', (p, expected) => {
    expect(Math.abs(normalQuantile(p) / expected - 1)).toBeLessThan(1e-14);
  });

  it.each([0, 1, -0.5, Number.NaN])('refuses %d', (p) => {
    expect(() => normalQuantile(p)).toThrow(RangeError);
  });

  it('is 0 in the middle, and its two sides mirror each other', () => {
    expect(normalQuantile(0.5)).toBe(0);
    for (const p of [0.01, 0.2, 0.25, 0.49])
      expect(normalQuantile(1 - p)).toBeCloseTo(-normalQuantile(p), 12);
  });
});

describe('fillNormal', () => {
  it('gives the same numbers for equal streams, from one version to the next', () => {
    expect(drawn(1, 9)).toEqual(drawn(1, 9));
    expect(drawn(1, 9)).not.toEqual(drawn(2, 9));
    expect([...drawn(0, 3)]).toMatchInlineSnapshot(`
     [
       1.3108081817626953,
       -0.7091227173805237,
       0.5740065574645996,
     ]
    `);
  });

  it('has mean, variance, skewness and kurtosis of the normal distribution', () => {
    const values = drawn(3, 200_000);
    const moment = (power: number): number =>
      values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    // Four standard errors each.
    expect(Math.abs(moment(1))).toBeLessThan(4 * Math.sqrt(1 / 200_000));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / 200_000));
    expect(Math.abs(moment(3))).toBeLessThan(4 * Math.sqrt(15 / 200_000));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / 200_000));
  });

  it('takes the ends of the uniform range', () => {
    const constant = (nextFloat: number) => ({
      ...createRandom(0, 'unused'),
      nextFloat: () => nextFloat,
      nextInt: () => 0,
      shuffle: <T>(values: T[]) => values,
    });
    const of = (uniform: number): number | undefined =>
      fillNormal(constant(uniform), new Float32Array(1))[0];
    expect(of(0)).toBeLessThan(-8);
    expect(of(1 - 2 ** -53)).toBe(-(of(0) ?? 0));
  });
});
