import { KeyQueue } from './key-queue.js';
import { RunQueue } from './run-queue.js';

/** Numbers below a limit, the same in every run. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

describe.each([
  ['KeyQueue', (capacity: number) => new KeyQueue(capacity)],
  ['RunQueue', () => new RunQueue()],
])('%s', (_, create) => {
  it('gives places by rank, within a rank from the left, then -1', () => {
    const queue = create(4);
    for (const [rank, place] of [
      [7, 1],
      [3, 9],
      [7, 0],
      [3, 4],
    ] as const)
      queue.push(rank, place);
    const given = Array.from({ length: 4 }, () => [queue.pop(), queue.rank]);
    expect(given).toEqual([
      [4, 3],
      [9, 3],
      [0, 7],
      [1, 7],
    ]);
    expect(queue.pop()).toBe(-1);
  });

  it('takes what comes while it is read, also before what was given', () => {
    const queue = create(1);
    queue.push(5, 5);
    expect(queue.pop()).toBe(5);
    queue.push(5, 2);
    queue.push(1, 8);
    expect([queue.pop(), queue.pop(), queue.pop()]).toEqual([8, 2, -1]);
  });
});

it.each([1, 2, 3])('both queues give the same of random places, seed %d', (seed) => {
  const random = numbers(seed);
  const [keys, runs] = [new KeyQueue(5000), new RunQueue()];
  const push = (rank: number, place: number): void => {
    keys.push(rank, place);
    runs.push(rank, place);
  };
  for (let place = 0; place < 5000; place += 1) push(random(40), place);
  let given = 0;
  for (let place = keys.pop(); place >= 0; place = keys.pop()) {
    expect([runs.pop(), runs.rank]).toEqual([place, keys.rank]);
    given += 1;
    if (given < 8000) push(random(60), random(2) === 0 ? place : random(5000));
  }
  expect(runs.pop()).toBe(-1);
  expect(given).toBe(12_999);
});
