import { startOfLast } from './chunk-position.js';

/** Counts as a server does that has messages at these sequences. */
function counter(sequences: readonly number[]) {
  let asked = 0;
  return {
    countFrom: async (from: number) => {
      asked += 1;
      return sequences.filter((sequence) => sequence >= from).length;
    },
    asked: () => asked,
  };
}

test('one question is enough where the messages lie together before the end', async () => {
  const { countFrom, asked } = counter([11, 12, 13, 14]);
  expect([await startOfLast(3, 15, countFrom), asked()]).toEqual([12, 1]);
});

test.each([
  ['alternate with others', Array.from({ length: 50 }, (_, index) => 3 + index * 2), 104],
  ['lie far before the end', [5, 6, 7, 8, 9], 1_000_000],
  ['lie far apart', [1, 2, 5000, 5001, 900_000], 900_001],
])('every start is found where the messages %s', async (_, sequences, end) => {
  for (let remaining = 1; remaining <= sequences.length; remaining += 1) {
    const { countFrom, asked } = counter(sequences);
    const start = (await startOfLast(remaining, end, countFrom)) ?? 0;
    expect(sequences.filter((sequence) => sequence >= start)).toEqual(sequences.slice(-remaining));
    expect(asked()).toBeLessThan(50);
  }
});

test('there is none where messages are missing', async () => {
  expect(await startOfLast(3, 100, counter([4, 7]).countFrom)).toBeNull();
  expect(await startOfLast(1, 2, counter([]).countFrom)).toBeNull();
});
