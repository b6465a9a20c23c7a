import { within } from './deadline.js';
import { FakeClock } from './testing/index.js';

const late = (): Error => new RangeError('too late');

test('gives what comes in time, and leaves no timer', async () => {
  const clock = new FakeClock();
  expect(await within(Promise.resolve(7), 10, late, clock)).toBe(7);
  await expect(within(Promise.reject(new Error('no')), 10, late, clock)).rejects.toThrow('no');
  expect(clock.pending).toBe(0);
});

test('rejects what does not', async () => {
  const clock = new FakeClock();
  const waiting = expect(within(new Promise(() => undefined), 10, late, clock)).rejects.toThrow(
    'too late',
  );
  await clock.advance(10);
  await waiting;
});
