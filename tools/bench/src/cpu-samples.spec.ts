import { compare, compareSides, sampleSide } from './cpu-samples.js';

const sample = (seconds: number, processorSeconds: number) => ({ seconds, processorSeconds });

test('sides are compared by medians of processor time and by their shortest times', () => {
  const found = compare([
    [sample(9, 1), sample(2, 5), sample(3, 2)],
    [sample(6, 6), sample(5, 9), sample(50, 4)],
  ]);
  expect(found).toEqual({ medianSeconds: [2, 6], ratio: 3, shortestRatio: 2.5 });
});

test('sides take turns, and two rounds do not count', async () => {
  const calls: string[] = [];
  const side = (name: string, seconds: number) => async () => {
    calls.push(name);
    return sample(seconds, seconds);
  };
  const found = await compareSides([side('first', 1), side('second', 3)], 2);
  expect(calls.join(' ')).toBe('first second first second first second first second');
  expect(found.ratio).toBe(3);
});

test('a sample is the mean of a batch of calls', async () => {
  let calls = 0;
  const { seconds, processorSeconds } = await sampleSide(() => {
    calls += 1;
  });
  expect(calls).toBeGreaterThan(1);
  expect(seconds * calls).toBeGreaterThanOrEqual(0.02);
  expect(processorSeconds).toBeGreaterThanOrEqual(0);
});
