import { pause, sleep } from './sleep.js';
import { FakeClock } from './testing/index.js';

test('a sleep ends after its time, and leaves nothing behind', async () => {
  const clock = new FakeClock();
  let over = false;
  const sleeping = sleep(100, { clock }).then(() => {
    over = true;
  });
  await clock.advance(99);
  expect(over).toBe(false);
  await clock.advance(1);
  expect(over).toBe(true);
  await sleeping;
  expect(clock.pending).toBe(0);
});

test('an abort ends a sleep with its reason, and a pause without', async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const reason = new Error('enough');
  const options = { clock, signal: stop.signal };
  const sleeping = expect(sleep(100, options)).rejects.toBe(reason);
  const pausing = pause(100, options);
  stop.abort(reason);
  await sleeping;
  await pausing;
  expect(clock.pending).toBe(0);
});

test('neither begins after an abort', async () => {
  const clock = new FakeClock();
  const options = { clock, signal: AbortSignal.abort(new Error('enough')) };
  await expect(sleep(100, options)).rejects.toThrow('enough');
  await pause(100, options);
  expect(clock.pending).toBe(0);
});
