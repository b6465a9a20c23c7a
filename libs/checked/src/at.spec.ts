import { at, last } from './at.js';

describe('at', () => {
  it('finds elements of arrays, typed arrays and texts', () => {
    expect(at(['a', 'b'], 1)).toBe('b');
    expect(at(Float32Array.of(1, 0.5), 1)).toBe(0.5);
    expect(at('ab', 0)).toBe('a');
  });

  it('gives an element that is undefined', () => {
    expect(at([undefined, 1], 0)).toBeUndefined();
  });

  it.each([-1, 2, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('throws at %d of two', (index) => {
    expect(() => at(['a', 'b'], index)).toThrow(new RangeError(`index ${index} of a list of 2`));
    expect(() => at(Int32Array.of(1, 2), index)).toThrow(RangeError);
  });
});

describe('last', () => {
  it('finds the last element', () => {
    expect(last([1, 2, 3])).toBe(3);
    expect(last(Uint8Array.of(7))).toBe(7);
  });

  it('throws where there is none', () => {
    expect(() => last([])).toThrow(new RangeError('the last element of an empty list'));
  });
});
