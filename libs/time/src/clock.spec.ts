import { systemClock } from './clock.js';

test('a time that is too long for a timer, or over, is not taken for another', async () => {
  let early = false;
  const timer = systemClock.after(2 ** 40, () => {
    early = true;
  });
  await new Promise<void>((resolve) => {
    systemClock.after(-5, resolve);
  });
  timer.end();
  expect(early).toBe(false);
});

test('what repeats does so until it is disposed', async () => {
  let calls = 0;
  await new Promise<void>((resolve) => {
    const timer = systemClock.every(1, () => {
      calls += 1;
      if (calls === 3) {
        timer[Symbol.dispose]();
        resolve();
      }
    });
  });
  expect(calls).toBe(3);
});
