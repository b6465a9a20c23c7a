import { setImmediate } from 'node:timers/promises';

import { workAhead } from './ahead.js';

async function* numbers(count: number, taken: number[]): AsyncGenerator<number> {
  for (let number = 0; number < count; number += 1) {
    taken.push(number);
    yield await Promise.resolve(number);
  }
}

const limits = { most: 3, mostBytes: 100, bytesOf: () => 1 };

test('results come in order, whichever is ready first', async () => {
  const work = async (number: number): Promise<number> => {
    if (number % 2 === 0) await setImmediate();
    return number;
  };
  const results: number[] = [];
  for await (const result of workAhead(numbers(9, []), work, limits)) results.push(result);
  expect(results).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test.each([
  [3, limits],
  [2, { ...limits, mostBytes: 2 }],
  [1, { ...limits, mostBytes: 0 }],
])('no more than %d things are begun before the first is taken', async (begun, given) => {
  const taken: number[] = [];
  const results = workAhead(numbers(9, taken), (number) => Promise.resolve(number), given);
  await results.next();
  expect(taken).toHaveLength(begun);
  await results.return(undefined);
});

test('a failure is told at its turn, and ends the source', async () => {
  const taken: number[] = [];
  const work = (number: number): Promise<number> =>
    number === 1 ? Promise.reject(new Error('one')) : Promise.resolve(number);
  const results = workAhead(numbers(99, taken), work, limits);
  expect((await results.next()).value).toBe(0);
  await expect(results.next()).rejects.toThrow('one');
  expect(taken.length).toBeLessThan(6);
});
