import { FakeClock } from './testing/index.js';
import { Watchdog } from './watchdog.js';

test('barks after silence, counted from the last that was heard', async () => {
  const clock = new FakeClock();
  const barks: number[] = [];
  const watchdog = new Watchdog(100, () => barks.push(clock.now()), clock);
  await clock.advance(500);
  watchdog.heard();
  await clock.advance(99);
  watchdog.heard();
  await clock.advance(99);
  expect(barks).toEqual([]);
  await clock.advance(500);
  expect(barks).toEqual([699]);
});

test('says nothing once it has ended', async () => {
  const clock = new FakeClock();
  let barked = false;
  const watchdog = new Watchdog(
    100,
    () => {
      barked = true;
    },
    clock,
  );
  watchdog.heard();
  watchdog.end();
  watchdog.heard();
  await clock.advance(1000);
  expect(barked).toBe(false);
});
