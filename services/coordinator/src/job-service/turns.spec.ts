import { FakeClock } from '@emloc/time/testing';

import { createTurns, type TurnLimits } from './turns.js';

const limits: TurnLimits = {
  places: 3,
  placesOfTenant: 2,
  waitingOfTenant: 4,
  restAfterMs: 240_000,
  work: 'plans',
  reason: 'TOO_MANY_PLANS',
};
const { signal: never } = new AbortController();

/** Work that goes on until it is told to end. */
function openTurns({ restAfterMs = limits.restAfterMs } = {}) {
  const clock = new FakeClock();
  const turns = createTurns({ ...limits, restAfterMs }, clock);
  const started: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const run = (tenant: string, name: string, signal = never): Promise<void> =>
    turns(tenant, signal, () => {
      started.push(name);
      return new Promise<void>((resolve, reject) => {
        ends.set(name, (error) => (error ? reject(error) : resolve()));
      });
    });
  return { clock, run, started, end: (name: string, error?: Error) => ends.get(name)?.(error) };
}

test('a place goes to the tenant with the fewest, within what one may have', async () => {
  const { run, started, end } = openTurns();
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'].map((name) =>
    run(name.charAt(0), name).catch(() => 'failed'),
  );
  await Promise.resolve();
  expect(started).toEqual(['a1', 'a2', 'b1']);
  end('a1', new Error('failed'));
  await all[0];
  expect(started.slice(3)).toEqual(['c1']);
  end('c1');
  await all[6];
  expect(started.slice(4)).toEqual(['a3']);
  for (const name of ['a2', 'a3', 'b1']) end(name);
  await Promise.all([all[1], all[2], all[4]]);
  for (const name of ['a4', 'b2']) end(name);
  expect(await Promise.all(all)).toEqual(['failed', ...Array.from({ length: 6 })]);
});

test('who has gone does not wait any more, and starts nothing', async () => {
  const { run, started, end } = openTurns();
  const [first, second] = [run('a', 'a1'), run('a', 'a2')];
  const gone = new AbortController();
  const left = run('a', 'a3', gone.signal);
  gone.abort(new Error('the caller has gone'));
  await expect(left).rejects.toThrow('the caller has gone');
  await expect(run('a', 'a4', gone.signal)).rejects.toThrow('the caller has gone');
  end('a1');
  end('a2');
  await Promise.all([first, second]);
  expect(started).toEqual(['a1', 'a2']);
});

test("a tenant's own calls alone are too many for it", async () => {
  const { run, started, end } = openTurns();
  const calls = Array.from({ length: 6 }, (_, index) => run('a', `a${index}`));
  await expect(run('a', 'one more')).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'TOO_MANY_PLANS',
    message: '4 plans of this tenant wait already, 4 are allowed',
  });
  const other = run('b', 'b0');
  await Promise.resolve();
  expect(started).toEqual(['a0', 'a1', 'b0']);
  end('b0');
  await other;
  for (let ended = 0; ended < 6; ended += 1) {
    end(`a${ended}`);
    await calls[ended];
  }
});

test('after work that failed late a place rests, and only that tenant waits for it', async () => {
  const { clock, run, started, end } = openTurns({ restAfterMs: 50 });
  const failing = ['a1', 'a2'].map((name) => run('a', name).catch(() => 'failed'));
  await clock.advance(100);
  const [third, other] = [run('a', 'a3'), run('b', 'b1')];
  for (const name of ['a1', 'a2']) end(name, new Error('took too long'));
  expect(await Promise.all(failing)).toEqual(['failed', 'failed']);
  await clock.advance(399);
  expect(started).toEqual(['a1', 'a2', 'b1']);
  await clock.advance(1);
  expect(started).toEqual(['a1', 'a2', 'b1', 'a3']);
  for (const name of ['a3', 'b1']) end(name);
  await Promise.all([third, other]);
});
