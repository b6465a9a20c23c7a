import { get } from './get.js';

describe('get', () => {
  it('finds what a map holds, be it undefined', () => {
    const map = new Map<string, number | undefined>([
      ['a', 1],
      ['b', undefined],
    ]);

    expect(get(map, 'a')).toBe(1);
    expect(get(map, 'b')).toBeUndefined();
  });

  it('throws for a key that is not there', () => {
    expect(() => get(new Map([[1, 'a']]), 2)).toThrow(new RangeError('key 2 of a map of 1'));
  });
});
