import { Backoff, backoffMs } from './backoff.js';
import { FakeClock } from './testing/index.js';

test('grows by its factor up to its most', () => {
  const policy = { firstMs: 100, mostMs: 1000, factor: 3 };
  expect([1, 2, 3, 4, 400].map((failures) => backoffMs(policy, failures))).toEqual([
    100, 300, 900, 1000, 1000,
  ]);
  expect(backoffMs({ firstMs: 100, mostMs: 1000 }, 2)).toBe(200);
});

test('leaves its spread to chance', () => {
  const policy = { firstMs: 100, mostMs: 1000, spread: 0.5 };
  expect([0, 0.5, 0.999].map((random) => backoffMs(policy, 2, () => random))).toEqual([
    100, 150, 199.9,
  ]);
});

test('waits longer from failure to failure, and begins anew after a success', async () => {
  const clock = new FakeClock();
  const backoff = new Backoff({ firstMs: 100, mostMs: 1000 }, { clock });
  const ends: number[] = [];
  const run = (async () => {
    for (const succeeds of [false, false, true, false]) {
      if (succeeds) backoff.succeeded();
      else await backoff.failed();
      ends.push(clock.now());
    }
  })();
  await clock.advance(1000);
  await run;
  expect(ends).toEqual([100, 300, 300, 400]);
});

test('an abort ends the wait', async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const waiting = new Backoff(
    { firstMs: 100, mostMs: 1000 },
    { clock, signal: stop.signal },
  ).failed();
  stop.abort();
  await waiting;
  expect(clock.pending).toBe(0);
});
