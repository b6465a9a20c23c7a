import { createTidying, type TidyingOptions } from './tidying.js';

function tidying(options: Partial<TidyingOptions> = {}) {
  const calls: string[] = [];
  const bucket = (name: string): TidyingOptions['storage']['datasets'] => ({
    list: () => {
      calls.push(`list ${name}`);
      return Promise.resolve([]);
    },
    delete: () => Promise.resolve(true),
    sweepOrphans: (ageMs) => {
      calls.push(`sweep ${name} ${ageMs}`);
      return Promise.resolve(0);
    },
  });
  const clock = { ms: 0 };
  const tidy = createTidying({
    storage: {
      datasets: bucket('datasets'),
      tensorBucket: bucket('tensors'),
      artifacts: bucket('artifacts'),
    },
    jobs: () => [],
    retentionMs: 1000,
    uploadIdleMs: 30_000,
    clockMs: () => clock.ms,
    ...options,
  });
  return { calls, clock, tidy };
}

test('uploads that nothing names are swept from every bucket, when they are a quarter of an hour old', async () => {
  const { calls, tidy } = tidying();
  await tidy();
  expect(calls).toEqual([
    'list datasets',
    'sweep tensors 900000',
    'sweep datasets 900000',
    'sweep artifacts 900000',
  ]);
});

test('an upload that may stand still for long is not swept meanwhile', async () => {
  const { calls, tidy } = tidying({ uploadIdleMs: 3_600_000 });
  await tidy();
  expect(calls).toContain('sweep datasets 7200000');
});

test('data sets are looked at every time, uploads every five minutes', async () => {
  const { calls, clock, tidy } = tidying();
  await tidy();
  clock.ms = 299_000;
  await tidy();
  expect(calls.filter((call) => call === 'list datasets')).toHaveLength(2);
  expect(calls.filter((call) => call.startsWith('sweep'))).toHaveLength(3);
  clock.ms = 301_000;
  await tidy();
  expect(calls.filter((call) => call.startsWith('sweep'))).toHaveLength(6);
});
