import { growthOf } from './growth.js';

const allowance = { absolute: 10, share: 0.1, floor: 0 };
const rounds = (count: number, value: (round: number) => number): number[] =>
  Array.from({ length: count }, (_, round) => value(round));

test('swings and peaks are no growth, whatever their size', () => {
  const swing = rounds(40, (round) => 100 + (round % 4) * 80);
  expect(growthOf(swing, allowance).isFlat).toBe(true);
  expect(growthOf([...swing, 900], allowance).isFlat).toBe(true);
});

test('a rise of every round is growth, also below the swings', () => {
  const leak = rounds(30, (round) => 100 + round * 2 + (round % 4) * 80);
  expect(growthOf(leak, allowance)).toEqual({ first: 124, last: 148, isFlat: false });
});

test('warming up is none, nor is what stays below the floor', () => {
  const warming = [10, 60, 90, ...rounds(9, () => 100)];
  expect(growthOf(warming, allowance).isFlat).toBe(true);
  const heap = rounds(60, (round) => 160 + Math.min(round, 20) * 2);
  expect(growthOf(heap, allowance).isFlat).toBe(true);
  expect(growthOf(heap.slice(0, 20), allowance).isFlat).toBe(true);
  const filling = rounds(12, (round) => round * 10);
  expect(growthOf(filling, allowance).isFlat).toBe(false);
  expect(growthOf(filling, { ...allowance, floor: 120 }).isFlat).toBe(true);
});

test('a short life tells nothing', () => {
  expect(growthOf([1, 2, 4, 8, 16], allowance)).toEqual({ first: 1, last: 16, isFlat: null });
});
