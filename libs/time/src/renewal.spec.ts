import { Renewal } from './renewal.js';
import { FakeClock } from './testing/index.js';

function held(renew: () => Promise<string | null>, lostAfterMs?: number) {
  const clock = new FakeClock();
  const lost: [atMs: number, reason: string][] = [];
  const renewal = new Renewal({
    everyMs: 100,
    renew,
    onLost: (reason) => lost.push([clock.now(), reason]),
    clock,
    ...(lostAfterMs === undefined ? {} : { lostAfterMs }),
  });
  return { clock, lost, renewal };
}

test('renews again and again, until it is ended', async () => {
  let renewals = 0;
  const { clock, lost, renewal } = held(() => {
    renewals += 1;
    return Promise.resolve(null);
  }, 300);
  await clock.advance(1000);
  expect(renewals).toBe(10);
  await renewal.end();
  await clock.advance(1000);
  expect([renewals, lost, clock.pending]).toEqual([10, [], 0]);
});

test('is lost as soon as a renewal says so, once', async () => {
  const { clock, lost } = held(() => Promise.resolve('another has it'), 300);
  await clock.advance(1000);
  expect(lost).toEqual([[100, 'another has it']]);
  expect(clock.pending).toBe(0);
});

test('outlives failures, for as long as it may without a success', async () => {
  let renewals = 0;
  const { clock, lost } = held(() => {
    renewals += 1;
    return renewals === 2 ? Promise.resolve(null) : Promise.reject(new Error('away'));
  }, 300);
  await clock.advance(1000);
  expect(lost).toEqual([[500, 'it could not be renewed for 300 ms']]);
});

test('counts from before a renewal was begun, and waits for none', async () => {
  const answers: ((reason: string | null) => void)[] = [];
  const { clock, lost } = held(
    () =>
      new Promise((resolve) => {
        answers.push(resolve);
      }),
    300,
  );
  await clock.advance(250);
  answers[0]?.(null);
  await clock.advance(140);
  expect(lost).toEqual([]);
  await clock.advance(10);
  expect(lost).toEqual([[400, 'it could not be renewed for 300 ms']]);
  expect(answers).toHaveLength(2);
});

test('without a limit failures never lose it', async () => {
  const { clock, lost, renewal } = held(() => Promise.reject(new Error('away')));
  await clock.advance(100_000);
  expect(lost).toEqual([]);
  await renewal.end();
});

test('a renewal that is under way has ended when the end has', async () => {
  let settle: (reason: string | null) => void = () => undefined;
  const { clock, lost, renewal } = held(
    () =>
      new Promise((resolve) => {
        settle = resolve;
      }),
    300,
  );
  await clock.advance(100);
  let ended = false;
  const ending = renewal.end().then(() => {
    ended = true;
  });
  await clock.advance(1000);
  expect(ended).toBe(false);
  settle('another has it');
  await ending;
  expect(lost).toEqual([]);
});
