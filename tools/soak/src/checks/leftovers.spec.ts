import { holdsMemory } from './leftovers.js';

test('a job holds memory of a device while a grant of it lasts', () => {
  const record = (job: string | null, expiresAtMs: number): string =>
    JSON.stringify({ job, grants: { trainer: { stage: 'train', bytes: 1, expiresAtMs } } });
  expect(holdsMemory(record('a', 11), 'a', 10)).toBe(true);
  expect(holdsMemory(record('a', 10), 'a', 10)).toBe(false);
  expect(holdsMemory(record('b', 11), 'a', 10)).toBe(false);
  expect(holdsMemory(JSON.stringify({ job: null, grants: {} }), 'a', 10)).toBe(false);
});
