import { setImmediate } from 'node:timers/promises';

import { Limiter } from './limiter.js';

test('at most so many things run at the same time, failed ones given back', async () => {
  const limiter = new Limiter(2);
  let [running, most] = [0, 0];
  const work = async (fails: boolean): Promise<void> => {
    running += 1;
    most = Math.max(most, running);
    await setImmediate();
    running -= 1;
    if (fails) throw new Error('failed');
  };
  const all = await Promise.allSettled(
    Array.from({ length: 9 }, (_, index) => limiter.run(() => work(index % 3 === 0))),
  );
  expect(all.filter(({ status }) => status === 'rejected')).toHaveLength(3);
  expect(most).toBe(2);
});
