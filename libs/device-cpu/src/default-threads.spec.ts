import { defaultThreads } from './default-threads.js';

test.each([
  ['3', 3],
  [' 2 ', 2],
  ['4,3,2', 4],
  ['64', 8],
  ['9999999999999999999999', 8],
  ['0', 8],
  ['-1', 8],
  ['many', 8],
  ['', 8],
  [undefined, 8],
])('of OMP_NUM_THREADS=%s and 8 cores %d are used', (value, threads) => {
  expect(defaultThreads({ OMP_NUM_THREADS: value }, 8)).toBe(threads);
});
