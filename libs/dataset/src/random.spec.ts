import { createRandom, Xoshiro128 } from './random.js';

describe('xoshiro128**', () => {
  it('gives the published sequence of the state 1, 2, 3, 4', () => {
    const random = new Xoshiro128([1, 2, 3, 4]);
    const values = Array.from({ length: 4 }, () => random.nextUint32());
    expect(values).toEqual([11520, 0, 5927040, 70819200]);
  });
});

describe('createRandom', () => {
  const draw = (seed: number, name: string): number[] => {
    const random = createRandom(seed, name);
    return Array.from({ length: 5 }, () => random.nextFloat());
  };

  it('repeats a stream for equal seed and name and gives another one for any other', () => {
    expect(draw(1, 'a')).toEqual(draw(1, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(2, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(1, 'b'));
    expect(draw(1, '2a')).not.toEqual(draw(12, 'a'));
  });

  it('keeps the same numbers from one version to the next', () => {
    const random = createRandom(0, 'frozen');
    expect([random.nextInt(1000), random.nextInt(1000), random.nextInt(1000)]).toEqual([
      50, 888, 263,
    ]);
  });

  it('draws floats evenly from [0, 1)', () => {
    const random = createRandom(3, 'floats');
    const values = Array.from({ length: 20_000 }, () => random.nextFloat());
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const bins = Array.from(
      { length: 10 },
      (_, bin) => values.filter((value) => Math.floor(value * 10) === bin).length,
    );
    // Chi-square with 9 degrees of freedom is below 27.9 with probability 0.999.
    expect(bins.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0)).toBeLessThan(27.9);
  });

  it('draws every integer below the limit, and nothing else', () => {
    const random = createRandom(4, 'integers');
    const seen = new Set(Array.from({ length: 500 }, () => random.nextInt(7)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(random.nextInt(1)).toBe(0);
    expect(random.nextInt(2 ** 32)).toBeLessThan(2 ** 32);
    for (const limit of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN])
      expect(() => random.nextInt(limit)).toThrow(RangeError);
  });

  it('shuffles into every order equally often', () => {
    const random = createRandom(5, 'orders');
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i += 1) {
      const order = random.shuffle(['a', 'b', 'c']).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // Chi-square with 5 degrees of freedom is below 20.5 with probability 0.999.
    expect(
      [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0),
    ).toBeLessThan(20.5);
  });
});
