import { assertScoring, attendedKeys, attendedPairs, type AttentionMask } from './index.js';
import { Tensor } from './tensor.js';

const tensor = new Tensor([1], 'int32', 'offsets', null, () => undefined);
const layout = (...offsets: number[]) => ({
  offsets,
  deviceOffsets: tensor,
  positions: tensor,
  maxLength: 0,
});
const masks: readonly AttentionMask[] = [
  { kind: 'causal' },
  { kind: 'none' },
  ...[1, 2, 3, 7, 8].map((window) => ({ kind: 'window' as const, window })),
];

/** Pairs by the definition, one after another. */
function countedPairs(mask: AttentionMask, length: number): number {
  let pairs = 0;
  for (let i = 0; i < length; i += 1)
    for (let j = 0; j < length; j += 1) {
      const past = j <= i && (mask.kind !== 'window' || i - mask.window < j);
      if (mask.kind === 'none' || past) pairs += 1;
    }
  return pairs;
}

describe('attention masks', () => {
  test.each(masks)('of %j have as many pairs as rows have keys', (mask) => {
    expect(attendedPairs(layout(0, 7, 7, 8, 12), mask)).toBe(
      countedPairs(mask, 7) + countedPairs(mask, 1) + countedPairs(mask, 4),
    );
    let ranges = 0;
    for (let row = 0; row < 7; row += 1) {
      const { first, end } = attendedKeys(mask, { first: row, end: row + 1 }, 7);
      ranges += end - first;
    }
    expect(ranges).toBe(countedPairs(mask, 7));
  });

  test('the keys of several queries are those of each together', () => {
    const queries = { first: 5, end: 8 };
    expect(attendedKeys({ kind: 'window', window: 3 }, queries, 20)).toEqual({ first: 3, end: 8 });
    expect(attendedKeys({ kind: 'causal' }, queries, 20)).toEqual({ first: 0, end: 8 });
    expect(attendedKeys({ kind: 'none' }, queries, 20)).toEqual({ first: 0, end: 20 });
  });

  test.each([0, -1, 2.5, Number.NaN])('a window of %s is refused', (window) => {
    expect(() => assertScoring('attention', { mask: { kind: 'window', window } })).toThrow(
      expect.objectContaining({
        code: 'DEVICE_UNSUPPORTED',
        message: `attention: a window of ${window} rows, a whole number of at least 1 expected`,
      }),
    );
  });

  test.each([0, -3, Number.NaN, Number.POSITIVE_INFINITY])(
    'a soft cap of %s is refused',
    (softCap) => {
      expect(() => assertScoring('attention', { softCap })).toThrow(
        expect.objectContaining({
          code: 'DEVICE_UNSUPPORTED',
          message: `attention: a soft cap of ${softCap}, a positive number expected`,
        }),
      );
      expect(() => assertScoring('attention', { softCap: 30 })).not.toThrow();
    },
  );
});
