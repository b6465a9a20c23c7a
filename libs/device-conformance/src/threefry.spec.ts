import { threefry } from './reference/dropout.js';

/** Known answers of the generator's authors: Random123's kat_vectors. */
const ones = [-1, -1] as const;
const [counter, key] = [
  [0x243f6a88, 0x85a308d3],
  [0x13198a2e, 0x03707344],
] as const;

test.each([
  [13, [0, 0], [0, 0], [0x9d1c5ec6, 0x8bd50731]],
  [13, ones, ones, [0xfd36d048, 0x2d17272c]],
  [13, counter, key, [0xba3e4725, 0xf27d669e]],
  [20, [0, 0], [0, 0], [0x6b200159, 0x99ba4efe]],
  [20, ones, ones, [0x1cb996fc, 0xbb002be7]],
  [20, counter, key, [0xc4923a9c, 0x483df7a0]],
] as const)(
  'Threefry-2x32 of %i rounds of counter %j and key %j is %j',
  (rounds, of, by, words) => {
    expect(threefry(by, of, rounds)).toEqual(words);
  },
);
