import { sleep } from '../sleep.js';
import { FakeClock } from './fake-clock.js';

test('timers come in order, with what they start in between', async () => {
  const clock = new FakeClock();
  const seen: string[] = [];
  clock.after(30, () => seen.push(`late ${clock.now()}`));
  const beats = clock.every(10, () => seen.push(`beat ${clock.now()}`));
  const sleeper = (async () => {
    await sleep(5, { clock });
    seen.push(`slept ${clock.now()}`);
    await sleep(10, { clock });
    seen.push(`slept ${clock.now()}`);
  })();
  await clock.advance(25);
  beats.end();
  await clock.advance(100);
  await sleeper;
  expect(seen).toEqual(['slept 5', 'beat 10', 'slept 15', 'beat 20', 'late 30']);
  expect([clock.now(), clock.pending]).toEqual([125, 0]);
});
