import { createHash } from 'node:crypto';

import { giveBackSigns, randomSigns } from './random-signs.js';

describe('randomSigns', () => {
  test.each([0, 1, 31, 32, 33, 1000])('gives %i signs, one a bit of the mixed counter', (count) => {
    const signs = randomSigns('some text', count);
    const counter = createHash('sha256').update('some text').digest().readUInt32LE(0);
    const expected = Array.from({ length: count }, (_, index) =>
      bitOf(counter + 0x9e3779b9 * (Math.floor(index / 32) + 1), index % 32) === 1 ? 1 : -1,
    );
    expect([...signs]).toEqual(expected);
  });

  test('are the same in memory that was used before, which is used once', () => {
    const expected = [...randomSigns('other text', 70)];
    const larger = randomSigns('some text', 1000);
    giveBackSigns(larger);
    const signs = randomSigns('other text', 70);
    expect([...signs]).toEqual(expected);
    expect(signs.buffer).toBe(larger.buffer);
    expect(randomSigns('other text', 70).buffer).not.toBe(larger.buffer);
  });
});

/** Of MurmurHash3's finaliser of a counter modulo 2³², in whole numbers without a size. */
function bitOf(counter: number, bit: number): number {
  let bits = BigInt.asUintN(32, BigInt(counter));
  bits = BigInt.asUintN(32, (bits ^ (bits >> 16n)) * 0x85ebca6bn);
  bits = BigInt.asUintN(32, (bits ^ (bits >> 13n)) * 0xc2b2ae35n);
  bits ^= bits >> 16n;
  return Number((bits >> BigInt(bit)) & 1n);
}
