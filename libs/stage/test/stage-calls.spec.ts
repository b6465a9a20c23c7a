import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JobStorageError } from '@emloc/job-storage';
import { RpcError } from '@emloc/rpc';
import { nextTurn } from '@emloc/time';
import { FakeClock, until } from '@emloc/time/testing';

import { StageError } from '../src/service/errors.js';
import type { StageAttempt } from '../src/service/stage-attempt.js';
import { startStageHarness, type Stage, type StageHarness } from './stage-harness.js';

let harness: StageHarness;
let stage: Stage;
let jobs = 0;
let job: string;
beforeAll(async () => {
  harness = await startStageHarness();
});
afterAll(() => harness.stop());
beforeEach(() => {
  stage = harness.open();
  job = `job-${(jobs += 1)}`;
});

/** Works until it is stopped, then does what is left to do. */
const untilStopped =
  (atEnd: (attempt: StageAttempt) => Promise<void> = async () => undefined) =>
  async (attempt: StageAttempt): Promise<number> => {
    if (!attempt.signal.aborted)
      await new Promise((resolve) => {
        attempt.signal.addEventListener('abort', resolve);
      });
    await atEnd(attempt);
    throw attempt.signal.reason;
  };

/** Waits until a call's attempt runs. */
function begun(): {
  readonly run: <T>(
    next: (attempt: StageAttempt) => Promise<T>,
  ) => (attempt: StageAttempt) => Promise<T>;
  readonly promise: Promise<void>;
} {
  let tell!: () => void;
  const promise = new Promise<void>((resolve) => {
    tell = resolve;
  });
  return {
    promise,
    run: (next) => (attempt) => {
      tell();
      return next(attempt);
    },
  };
}

test('accepts first, tells events in order, says in silence that it lives, and ends with one result', async () => {
  const clock = new FakeClock();
  const quick = harness.open({ heartbeatMs: 40, clock });
  const stop = new AbortController();
  const { events, result } = quick.call(
    async ({ emit }) => {
      emit({ case: 'notice', value: { message: 'a' } });
      await once(stop.signal, 'abort');
      return 7;
    },
    { job, token: 1 },
  );
  await until(() => events.includes('notice'), 'the notice');
  await clock.advance(100);
  stop.abort();
  expect(await result).toBe(7);
  expect(events).toEqual(['accepted 0', 'notice', 'heartbeat', 'heartbeat']);
});

test('a finished stage answers again with what is stored, also in another process and while the engine is busy', async () => {
  expect(await stage.call(async () => 3, { job, token: 1 }).result).toBe(3);
  const other = harness.open();
  const { run, promise } = begun();
  const busy = other.call(run(untilStopped()), { job: `${job}-busy`, token: 1 });
  await promise;
  const again = other.call(async () => 99, { job, token: 2 });
  expect([await again.result, again.events]).toEqual([3, ['accepted 0']]);
  busy.stop();
  await expect(busy.result).rejects.toThrow();
});

test('a higher token ends the running attempt, after it has saved, and goes on from there', async () => {
  const { run, promise } = begun();
  const old = stage.call(run(untilStopped(({ write }) => write({ checkpoint: 'saved-5' }))), {
    job,
    token: 1,
  });
  await promise;
  const next = stage.call(async ({ record }) => (record.checkpoint === 'saved-5' ? 5 : 0), {
    job,
    token: 2,
  });
  await expect(old.result).rejects.toMatchObject({
    code: 'ABORTED',
    reason: 'STAGE_SUPERSEDED',
    metadata: { stage: 'calibrate' },
  });
  expect(await next.result).toBe(5);
});

test('a lower token is refused at once: of a running attempt, of an ended one, and after a restart', async () => {
  const { run, promise } = begun();
  const running = stage.call(run(untilStopped()), { job, token: 5 });
  await promise;
  const stale = { code: 'FAILED_PRECONDITION', reason: 'STAGE_STALE_FENCING_TOKEN' };
  await expect(stage.call(async () => 1, { job, token: 4 }).result).rejects.toMatchObject(stale);
  running.stop();
  await expect(running.result).rejects.toThrow();
  for (const one of [stage, harness.open()])
    await expect(one.call(async () => 1, { job, token: 4 }).result).rejects.toMatchObject(stale);
  expect(await harness.open().call(async () => 6, { job, token: 6 }).result).toBe(6);
});

test('an attempt that was superseded elsewhere stores nothing', async () => {
  const { run, promise } = begun();
  let goOn!: () => void;
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const old = stage.call(
    run(async () => {
      await gate;
      return 1;
    }),
    { job, token: 1 },
  );
  await promise;
  expect(await harness.open().call(async () => 2, { job, token: 2 }).result).toBe(2);
  goOn();
  await expect(old.result).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'STAGE_STALE_FENCING_TOKEN',
  });
  expect(await harness.storage.stages.read(job, 'calibrate')).toMatchObject({
    fence: 2,
    result: { layers: 2 },
  });
});

test('the end of the call ends the attempt, and the next one has the engine', async () => {
  const { run, promise } = begun();
  let stopped = false;
  const left = stage.call(
    run(
      untilStopped(async () => {
        stopped = true;
      }),
    ),
    { job, token: 1 },
  );
  await promise;
  left.stop();
  await expect(left.result).rejects.toThrow();
  expect(stopped).toBe(true);
  expect(await stage.call(async () => 2, { job, token: 2 }).result).toBe(2);
});

test('an attempt that waits for the engine leaves the queue when its call ends; who came later still has a turn', async () => {
  const { run, promise } = begun();
  const first = stage.call(run(untilStopped()), { job, token: 1 });
  await promise;
  let waitedRan = false;
  const waiting = stage.call(
    async () => {
      waitedRan = true;
      return 0;
    },
    { job: `${job}-b`, token: 1 },
  );
  const last = stage.call(async () => 3, { job: `${job}-c`, token: 1 });
  await until(() => waiting.events.length > 0 && last.events.length > 0, 'both are accepted');
  waiting.stop();
  await expect(waiting.result).rejects.toThrow();
  first.stop();
  expect([await last.result, waitedRan]).toEqual([3, false]);
});

test('a draining server ends attempts with UNAVAILABLE when they have saved', async () => {
  const { run, promise } = begun();
  const ended = stage.call(
    run(
      untilStopped(async ({ write }) => {
        await nextTurn();
        await write({ checkpoint: 'kept' });
      }),
    ),
    { job, token: 1 },
  );
  await promise;
  stage.draining.abort(
    new RpcError('UNAVAILABLE', 'the server is closing', { reason: 'SERVER_CLOSING' }),
  );
  await expect(ended.result).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    reason: 'SERVER_CLOSING',
  });
  expect(await harness.storage.stages.read(job, 'calibrate')).toMatchObject({
    checkpoint: 'kept',
    result: null,
  });
});

test('errors keep code and text, and name stage and layer; a foreign error says nothing', async () => {
  const failing = (error: Error, token: number): Promise<number> =>
    stage.call(() => Promise.reject(error), { job, token }).result;
  const known = Object.assign(new JobStorageError('LAYER_MISSING', 'no factors of block 3'), {
    layer: 'model.layers.3',
  });
  await expect(failing(known, 1)).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'LAYER_MISSING',
    message: 'no factors of block 3',
    metadata: { stage: 'calibrate', layer: 'model.layers.3' },
  });
  await expect(
    failing(
      new StageError('LAYER_GIVEN_UP', 'block-3 was tried too often: no convergence', {
        layer: 'model.layers.3',
      }),
      2,
    ),
  ).rejects.toMatchObject({
    code: 'INTERNAL',
    reason: 'LAYER_GIVEN_UP',
    metadata: { stage: 'calibrate', layer: 'model.layers.3' },
  });
  await expect(failing(new Error('secret of a row'), 3)).rejects.toMatchObject({
    code: 'INTERNAL',
    message: expect.not.stringContaining('secret'),
  });
  expect(await stage.call(async () => 1, { job, token: 4 }).result).toBe(1);
});

test('says what earlier attempts left', async () => {
  await harness.storage.stages.claim(job, 'calibrate', 1);
  const { events, result } = stage.call(async () => 1, {
    job,
    token: 2,
    resumedFrom: async () => 4,
  });
  await result;
  expect(events).toEqual(['accepted 4']);
});

test('an attempt has a folder of its own, which goes with it', async () => {
  let own = '';
  const keep = async ({ scratch }: StageAttempt): Promise<number> => {
    own = scratch;
    await mkdir(join(scratch, 'deep'));
    await writeFile(join(scratch, 'deep', 'file'), 'x');
    return 1;
  };
  await stage.call(keep, { job, token: 1 }).result;
  expect(own).toContain(harness.folder);
  await expect(
    stage.call(
      async (attempt) => {
        await keep(attempt);
        throw new Error('no');
      },
      { job: `${job}-b`, token: 1 },
    ).result,
  ).rejects.toThrow();
  expect(stage.scratch()).toEqual([]);
});

test.each([
  ['no token', { token: 0 }],
  ['a job that is no name', { job: 'a/b', token: 1 }],
])('refuses a call with %s', async (_what, change) => {
  await expect(stage.call(async () => 1, { job, ...change }).result).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_REQUEST',
  });
});

test('metrics tell how attempts ended', async () => {
  await stage.call(async () => 1, { job, token: 1 }).result;
  await expect(
    stage.call(() => Promise.reject(new Error('no')), { job: `${job}-b`, token: 1 }).result,
  ).rejects.toThrow();
  const text = await stage.metrics();
  for (const outcome of ['succeeded', 'failed'])
    expect(text).toMatch(
      new RegExp(`emloc_stage_duration_seconds_count\\{[^}]*outcome="${outcome}"[^}]*\\} 1`),
    );
});

test('an attempt that hangs has the engine no longer than its end allows; the next has its turn', async () => {
  const impatient = harness.open({ abandonMs: 50 });
  const { run, promise } = begun();
  const hanging = impatient.call(
    run(() => new Promise<never>(() => undefined)),
    { job, token: 1 },
  );
  await promise;
  const next = impatient.call(async () => 2, { job, token: 2 });
  await expect(hanging.result).rejects.toMatchObject({
    code: 'ABORTED',
    reason: 'STAGE_SUPERSEDED',
  });
  expect(await next.result).toBe(2);
});

test('an attempt that waits for a server which stands still ends with its call; the next has its turn when the server answers', async () => {
  const impatient = harness.open({ abandonMs: 50 });
  const pid = harness.server.pid ?? 0;
  const { run, promise } = begun();
  const waiting = impatient.call(
    run(async ({ write }) => {
      process.kill(pid, 'SIGSTOP');
      // It may answer a few times more before it stands still.
      for (let times = 0; ; times += 1) await write({ checkpoint: `late-${times}` });
    }),
    { job, token: 1 },
  );
  await promise;
  waiting.stop();
  try {
    await expect(waiting.result).rejects.toMatchObject({
      code: 'CANCELLED',
      metadata: { stage: 'calibrate' },
    });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect(await impatient.call(async () => 2, { job, token: 2 }).result).toBe(2);
});

test('what NATS does not answer is told as such, so that it is tried again', async () => {
  const unanswered = stage.call(
    async () => {
      await harness.nats.request('nobody.listens');
      return 1;
    },
    { job, token: 1 },
  );
  await expect(unanswered.result).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    reason: 'STORAGE_UNAVAILABLE',
    metadata: { stage: 'calibrate' },
  });
});
