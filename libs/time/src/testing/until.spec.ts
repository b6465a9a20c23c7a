import { until } from './until.js';

test('gives what the condition gives, once it holds', async () => {
  let calls = 0;
  expect(await until(() => (++calls < 3 ? undefined : calls), 'three calls', { everyMs: 1 })).toBe(
    3,
  );
  expect(await until(() => Promise.resolve(0), 'a number')).toBe(0);
});

test('names what did not come in time', async () => {
  await expect(until(() => false, 'a miracle', { withinMs: 5, everyMs: 1 })).rejects.toThrow(
    'not within 5 ms: a miracle',
  );
});

test('throws what the condition throws', async () => {
  await expect(
    until(() => {
      throw new Error('broken');
    }, 'nothing'),
  ).rejects.toThrow('broken');
});
