import { Stage, StageStateChanged_State as StageState, Job_State as State } from '@emloc/contracts';
import { RpcError } from '@emloc/rpc';
import { until } from '@emloc/time/testing';

import type { JobEvent } from '../src/index.js';
import { clientOf, closeAll, collect, start, thrownBy } from './fixtures.js';

afterEach(closeAll);

const away = new RpcError('UNAVAILABLE', 'not now');
const sequences = (events: readonly JobEvent[]): number[] => events.map(({ sequence }) => sequence);
const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** A job with so many events, the last of which is that of success. */
async function finishedJob(events: number) {
  const started = await start();
  const name = started.service.addJob();
  for (let step = 1; step < events; step += 1)
    started.service.emit(name, {
      case: 'step',
      value: { stage: Stage.TRAIN, step, steps: events - 1, loss: 1 / step, tokens: 5n },
    });
  started.service.emit(name, { case: 'stateChanged', value: { state: State.SUCCEEDED } });
  return { ...started, name };
}

describe('watchJob', () => {
  it('gives past events, then new ones as they happen, and ends after the final state', async () => {
    const { client, service } = await start();
    const name = service.addJob();
    service.emit(name, { case: 'stateChanged', value: { state: State.RUNNING } });
    const seen: JobEvent[] = [];
    for await (const event of client.watchJob(name)) {
      seen.push(event);
      if (event.sequence === 1)
        service.emit(name, {
          case: 'stageStateChanged',
          value: { stage: Stage.TRAIN, state: StageState.RETRYING, attempt: 2 },
        });
      if (event.sequence === 2)
        service.emit(
          name,
          { case: 'notice', value: { message: 'hello' } },
          {
            case: 'progress',
            value: { stage: Stage.EMULATE, task: 'blocks', done: 1n, total: 4n },
          },
        );
      if (event.sequence === 4)
        service.emit(
          name,
          { case: 'artifactCreated', value: { artifact: 'a' } },
          { case: 'stateChanged', value: { state: State.SUCCEEDED } },
        );
    }
    expect(seen.map(({ time: _time, ...event }) => event)).toEqual([
      { sequence: 1, type: 'state', state: 'running', error: null },
      { sequence: 2, type: 'stage', stage: 'train', state: 'retrying', attempt: 2, error: null },
      { sequence: 3, type: 'notice', message: 'hello' },
      { sequence: 4, type: 'progress', stage: 'emulate', task: 'blocks', done: 1, total: 4 },
      { sequence: 5, type: 'artifact', artifact: 'a' },
      { sequence: 6, type: 'state', state: 'succeeded', error: null },
    ]);
    expect(seen[0]?.time).toBeInstanceOf(Date);
  });

  it('loses and doubles nothing over connections that are cut again and again', async () => {
    const { client, service, name, ...deployment } = await finishedJob(200);
    service.faults.next(
      'watchJob',
      ...upTo(20).map(() => ({ kind: 'cutAfter', messages: 7 }) as const),
    );
    const interruptions: Error[] = [];
    const events = await collect(
      client.watchJob(name, { onInterruption: (error) => interruptions.push(error) }),
    );
    expect(sequences(events)).toEqual(upTo(200));
    // What a cut finds on its way is lost and asked for again: an attempt brings seven events at
    // most.
    expect(service.watchedAfter).toHaveLength(21);
    const gains = service.watchedAfter
      .slice(1)
      .map((after, index) => after - (service.watchedAfter[index] ?? 0));
    expect(Math.min(...gains)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...gains)).toBeLessThanOrEqual(7);
    expect(interruptions).toHaveLength(20);
    expect(deployment.connections()).toBeGreaterThanOrEqual(21);
    expect(service.faults.left).toBe(0);
  });

  it('drops what the server sends again after a break', async () => {
    const { client, service, name } = await finishedJob(20);
    service.faults.next(
      'watchJob',
      { kind: 'failAfter', messages: 9, error: away },
      { kind: 'repeat', events: 5 },
    );
    expect(sequences(await collect(client.watchJob(name)))).toEqual(upTo(20));
    expect(service.counts.watchJob).toBe(2);
  });

  it('asks again for an event that is missing, and fails when it stays so', async () => {
    const { client, service, name } = await finishedJob(10);
    service.faults.next('watchJob', { kind: 'skip', sequence: 5 });
    expect(sequences(await collect(client.watchJob(name)))).toEqual(upTo(10));
    expect(service.watchedAfter).toEqual([0, 4]);
    service.faults.next('watchJob', ...upTo(9).map(() => ({ kind: 'skip', sequence: 5 }) as const));
    const error = await thrownBy(() => collect(client.watchJob(name)));
    expect(error.code).toBe('SDK_EVENTS_LOST');
    expect(error.message).toContain('event 6 came after event 4');
  });

  it('goes on where the caller was before', async () => {
    const { client, name } = await finishedJob(10);
    expect(sequences(await collect(client.watchJob(name, { afterSequence: 7 })))).toEqual([
      8, 9, 10,
    ]);
    const interruptions: Error[] = [];
    expect(
      await collect(
        client.watchJob(name, {
          afterSequence: 10,
          onInterruption: (error) => interruptions.push(error),
        }),
      ),
    ).toEqual([]);
    expect(interruptions).toEqual([]);
  });

  it('waits for the event of a final state that the job has already', async () => {
    const { client, service } = await start();
    const name = service.addJob({ state: State.SUCCEEDED });
    const watching = collect(client.watchJob(name));
    await until(() => service.counts.watchJob === 1, 'the watch');
    service.emit(name, { case: 'stateChanged', value: { state: State.SUCCEEDED } });
    expect(sequences(await watching)).toEqual([1]);
  });

  it('goes on when the server ends the stream early', async () => {
    const { client, service, name } = await finishedJob(10);
    service.faults.next(
      'watchJob',
      { kind: 'endAfter', messages: 4 },
      { kind: 'endAfter', messages: 0 },
    );
    expect(sequences(await collect(client.watchJob(name)))).toEqual(upTo(10));
  });

  it('ends at errors that would come again', async () => {
    const { client, service, name } = await finishedJob(10);
    expect(await thrownBy(() => collect(client.watchJob('jobs/other')))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'RECORD_NOT_FOUND',
    });
    service.faults.next('watchJob', {
      kind: 'failAfter',
      messages: 3,
      error: new RpcError('PERMISSION_DENIED', 'no'),
    });
    const seen: JobEvent[] = [];
    const error = await thrownBy(async () => {
      for await (const event of client.watchJob(name)) seen.push(event);
    });
    expect([error.code, seen.length, service.counts.watchJob]).toEqual(['PERMISSION_DENIED', 3, 1]);
  });

  it('outlasts a server that is away for longer than the attempts of a call, and gives up after its patience', async () => {
    const { address, service, name } = await finishedJob(10);
    service.faults.next('watchJob', ...upTo(8).map(() => ({ kind: 'fail', error: away }) as const));
    expect(await collect(clientOf(address).watchJob(name))).toHaveLength(10);
    service.faults.next(
      'getJob',
      { kind: 'none' },
      ...upTo(400).map(() => ({ kind: 'fail', error: away }) as const),
    );
    service.faults.next('watchJob', { kind: 'failAfter', messages: 2, error: away });
    expect(
      (await thrownBy(() => collect(clientOf(address, { patienceMs: 100 }).watchJob(name)))).code,
    ).toBe('UNAVAILABLE');
  });

  it('fails as any call does when the server was never reached', async () => {
    const { client, service } = await start();
    service.faults.next('getJob', ...upTo(9).map(() => ({ kind: 'fail', error: away }) as const));
    expect((await thrownBy(() => collect(client.watchJob('jobs/j1')))).code).toBe('UNAVAILABLE');
    expect(service.counts).toEqual({ getJob: 4 });
  });

  it('waits for a server that was reached before the watch began', async () => {
    const { client, service, name } = await finishedJob(3);
    await client.getJob(name);
    service.faults.next('getJob', ...upTo(9).map(() => ({ kind: 'fail', error: away }) as const));
    expect(await collect(client.watchJob(name))).toHaveLength(3);
  });

  it('ends with an abort, and cancels the call when the caller stops', async () => {
    const { client, service } = await start();
    const name = service.addJob();
    for (let index = 0; index < 100; index += 1)
      service.emit(name, { case: 'notice', value: { message: `${index}` } });
    const abort = new AbortController();
    const error = await thrownBy(async () => {
      for await (const event of client.watchJob(name, { signal: abort.signal })) {
        expect(event.sequence).toBe(1);
        abort.abort();
      }
    });
    expect(error.code).toBe('CANCELLED');
    for await (const _ of client.watchJob(name)) break;
    expect(service.counts.watchJob).toBe(2);
  });
});

describe('waitForJob', () => {
  it('gives the job that has succeeded', async () => {
    const { client, service, name } = await finishedJob(5);
    service.faults.next('watchJob', { kind: 'cutAfter', messages: 2 });
    const seen: number[] = [];
    expect(
      await client.waitForJob(name, { onEvent: ({ sequence }) => seen.push(sequence) }),
    ).toMatchObject({ name, state: 'succeeded' });
    expect(seen).toEqual(upTo(5));
  });

  it('throws what let the job fail: stage, layer and cause', async () => {
    const { client, service } = await start();
    const name = service.addJob();
    service.fail(name, {
      code: 'FAILED_PRECONDITION',
      message: 'loss is NaN at step 4',
      reason: 'FINETUNE_NON_FINITE',
      stage: 'train',
      layer: '3',
    });
    const error = await thrownBy(() => client.waitForJob(name));
    expect(error).toMatchObject({
      code: 'SDK_JOB_FAILED',
      reason: 'FINETUNE_NON_FINITE',
      stage: 'train',
      layer: '3',
    });
    expect(error.message).toBe(
      `${name} failed: stage train, layer 3: loss is NaN at step 4 (FINETUNE_NON_FINITE)`,
    );
    expect((await client.getJob(name)).error).toEqual({
      code: 'FAILED_PRECONDITION',
      reason: 'FINETUNE_NON_FINITE',
      message: 'loss is NaN at step 4',
      stage: 'train',
      layer: '3',
    });
  });

  it('throws that the job was cancelled', async () => {
    const { client, service } = await start();
    const name = service.addJob();
    expect((await client.cancelJob(name)).state).toBe('cancelled');
    expect((await thrownBy(() => client.waitForJob(name))).code).toBe('SDK_JOB_CANCELLED');
  });
});
