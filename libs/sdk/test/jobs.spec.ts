import { MergeOptions_Dtype as Dtype, Ending, Stage, Job_State as State } from '@emloc/contracts';
import { RpcError } from '@emloc/rpc';
import { until } from '@emloc/time/testing';

import { isFinalState } from '../src/index.js';
import { clientOf, closeAll, collect, start, thrownBy } from './fixtures.js';

afterEach(closeAll);

const options = {
  model: '/models/base',
  data: { dataset: 'datasets/d' },
  vramBytes: 2 ** 40,
  steps: 10,
  correction: 3,
  schedule: 'linear',
} as const;
const away = { kind: 'fail', error: new RpcError('UNAVAILABLE', 'not now') } as const;

describe('createJob', () => {
  it('sends what a job is made of and gives the job as plain values', async () => {
    const { client, service } = await start();
    const job = await client.createJob({
      options,
      displayName: 'mine',
      merge: { dtype: 'bfloat16' },
    });
    expect(job).toMatchObject({
      name: 'jobs/j1',
      displayName: 'mine',
      options,
      merge: { dtype: 'bfloat16' },
      state: 'queued',
      stage: null,
      error: null,
      report: null,
    });
    expect(job.createTime).toBeInstanceOf(Date);
    expect(service.job('jobs/j1').merge?.dtype).toBe(Dtype.BFLOAT16);
    expect(JSON.parse(JSON.stringify(job))).toMatchObject({
      name: 'jobs/j1',
      options: { vramBytes: 2 ** 40 },
    });
  });

  it('leaves the dtype of a merged checkpoint to the base model, and makes none unless asked', async () => {
    const { client } = await start();
    expect((await client.createJob({ options, merge: {} })).merge).toEqual({ dtype: null });
    expect((await client.createJob({ options })).merge).toBeNull();
  });

  it('makes one job however often it has to be repeated', async () => {
    const { client, service } = await start();
    service.faults.next('createJob', away, away, away);
    await client.createJob({ options });
    expect(service.counts.createJob).toBe(4);
    expect(await collect(client.listJobs())).toHaveLength(1);
  });

  it('gives the same job for the same request id', async () => {
    const { client } = await start();
    const requestId = '5f0e1ab0-8d5c-4a53-9d5e-000000000001';
    const names = [
      await client.createJob({ options, requestId }),
      await client.createJob({ options, requestId }),
      await client.createJob({ options }),
    ];
    expect(names.map(({ name }) => name)).toEqual(['jobs/j1', 'jobs/j1', 'jobs/j2']);
  });

  it('refuses a size that is no whole number before anything is sent', async () => {
    const { client, service } = await start();
    expect(
      (await thrownBy(() => client.createJob({ options: { ...options, vramBytes: 1.5 } }))).code,
    ).toBe('SDK_OPTION_INVALID');
    expect(service.counts.createJob).toBeUndefined();
  });
});

describe('deleteJob', () => {
  it('deletes a job that is over, and says so of one that is not', async () => {
    const { client, service } = await start();
    const [over, running] = [
      service.addJob({ state: State.FAILED }),
      service.addJob({ state: State.RUNNING }),
    ];
    await client.deleteJob(over);
    expect((await thrownBy(() => client.getJob(over))).code).toBe('NOT_FOUND');
    expect(await thrownBy(() => client.deleteJob(running))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'JOB_NOT_OVER',
    });
  });

  it('takes a job that is not there for an error unless that is allowed', async () => {
    const { client } = await start();
    expect((await thrownBy(() => client.deleteJob('jobs/none'))).code).toBe('NOT_FOUND');
    await client.deleteJob('jobs/none', { allowMissing: true });
  });
});

describe('errors', () => {
  it('name stage, layer, reason and the fields that break the rules', async () => {
    const { client, service } = await start();
    const fieldViolations = [{ field: 'options.rank', description: 'at least 1' }];
    service.faults.next('getJob', {
      kind: 'fail',
      error: new RpcError('FAILED_PRECONDITION', 'loss is NaN', {
        reason: 'FINETUNE_NON_FINITE',
        metadata: { stage: 'train', layer: '3' },
        fieldViolations,
      }),
    });
    const error = await thrownBy(() => client.getJob('jobs/j1'));
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'FINETUNE_NON_FINITE',
      stage: 'train',
      layer: '3',
      fieldViolations,
    });
    expect(error.message).toBe('stage train, layer 3: loss is NaN (FINETUNE_NON_FINITE)');
    expect(error.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('name stage and layer once', async () => {
    const { client, service } = await start();
    service.faults.next('getJob', {
      kind: 'fail',
      error: new RpcError('INTERNAL', 'train, layer 3: loss is NaN', {
        metadata: { stage: 'train', layer: '3' },
      }),
    });
    expect((await thrownBy(() => client.getJob('jobs/j1'))).message).toBe(
      'stage train, layer 3: loss is NaN',
    );
  });

  it.each([
    'INVALID_ARGUMENT',
    'NOT_FOUND',
    'PERMISSION_DENIED',
    'UNAUTHENTICATED',
    'FAILED_PRECONDITION',
    'INTERNAL',
    'DATA_LOSS',
    'RESOURCE_EXHAUSTED',
  ] as const)('of code %s are not tried again', async (code) => {
    const { client, service } = await start();
    service.faults.next('getJob', { kind: 'fail', error: new RpcError(code, 'no') });
    expect((await thrownBy(() => client.getJob('jobs/j1'))).code).toBe(code);
    expect(service.counts.getJob).toBe(1);
  });

  it('that may go away are tried again as often as the policy says', async () => {
    const { client, service } = await start();
    service.faults.next('getJob', away, away, away, away, away);
    expect((await thrownBy(() => client.getJob('jobs/j1'))).code).toBe('UNAVAILABLE');
    expect(service.counts.getJob).toBe(4);
    const later = {
      kind: 'fail',
      error: new RpcError('RESOURCE_EXHAUSTED', 'busy', { retryDelayMs: 1 }),
    } as const;
    service.faults.next('cancelJob', away, later);
    service.addJob();
    await client.cancelJob('jobs/j1');
    expect(service.counts.cancelJob).toBe(3);
  });

  it('come when the deadline has passed', async () => {
    const { client, service } = await start();
    service.faults.next('getJob', { kind: 'hang' });
    expect((await thrownBy(() => client.getJob('jobs/j1', { timeoutMs: 50 }))).code).toBe(
      'DEADLINE_EXCEEDED',
    );
  });
});

describe('an abort', () => {
  it('ends a call, with the reason as the cause of the cause', async () => {
    const { client, service } = await start();
    service.faults.next('planJob', { kind: 'hang' });
    const abort = new AbortController();
    const reason = new Error('enough');
    const planning = thrownBy(() => client.planJob(options, { signal: abort.signal }));
    await until(() => service.counts.planJob === 1, 'the call');
    abort.abort(reason);
    const error = await planning;
    expect(error.code).toBe('CANCELLED');
    expect((error.cause as Error).cause).toBe(reason);
  });

  it('that was there before sends nothing', async () => {
    const { client, service } = await start();
    const signal = AbortSignal.abort();
    const calls = [
      client.getJob('jobs/j1', { signal }),
      client.createJob({ options }, { signal }),
      client.uploadDataset(new Uint8Array(8), { signal }),
      collect(client.watchJob('jobs/j1', { signal })),
    ];
    for (const call of calls) expect((await thrownBy(() => call)).code).toBe('CANCELLED');
    expect(service.counts).toEqual({});
  });
});

describe('close', () => {
  it('ends calls, streams and pauses in progress, and later calls', async () => {
    const { client, service } = await start();
    const name = service.addJob();
    service.faults.next('getJob', { kind: 'none' }, { kind: 'hang' });
    const watching = collect(client.watchJob(name));
    await until(() => service.counts.watchJob, 'the watch');
    const calls = [watching, client.getJob(name)];
    client.close();
    for (const call of calls) expect((await thrownBy(() => call)).code).toBe('SDK_CLOSED');
    expect((await thrownBy(() => client.getJob(name))).code).toBe('SDK_CLOSED');
    client.close();
  });

  it('happens at the end of `await using`', async () => {
    const { client } = await start();
    await client[Symbol.asyncDispose]();
    expect((await thrownBy(() => client.getJob('jobs/j1'))).code).toBe('SDK_CLOSED');
  });
});

describe('listJobs', () => {
  it('gives all jobs over all pages, and asks for pages only as they are needed', async () => {
    const { client, service } = await start();
    for (let index = 0; index < 7; index += 1)
      service.addJob({ state: index % 2 ? State.RUNNING : State.QUEUED });
    expect((await collect(client.listJobs({ pageSize: 3 }))).map(({ name }) => name)).toEqual(
      [7, 6, 5, 4, 3, 2, 1].map((n) => `jobs/j${n}`),
    );
    expect(service.counts.listJobs).toBe(3);
    expect(await collect(client.listJobs({ filter: 'state = RUNNING' }))).toHaveLength(3);
    service.counts.listJobs = 0;
    for await (const _ of client.listJobs({ pageSize: 3 })) break;
    expect(service.counts.listJobs).toBe(1);
  });

  it('gives single pages', async () => {
    const { client, service } = await start();
    for (let index = 0; index < 3; index += 1) service.addJob();
    const first = await client.listJobsPage({ pageSize: 2 });
    const second = await client.listJobsPage({ pageSize: 2, pageToken: first.nextPageToken ?? '' });
    expect([first.jobs.length, second.jobs.length, second.nextPageToken]).toEqual([2, 1, null]);
  });
});

it('planJob gives the plan as plain values', async () => {
  const { client, service } = await start();
  service.plan = {
    fits: false,
    budgetBytes: 1n << 40n,
    neededBytes: 7n,
    stages: [{ stage: Stage.TRAIN, seconds: 2.5, peakDeviceBytes: 9n }],
  };
  expect(await client.planJob(options)).toEqual({
    fits: false,
    budgetBytes: 2 ** 40,
    neededBytes: 7,
    stages: [{ name: 'train', seconds: 2.5, peakDeviceBytes: 9 }],
    methodChoice: null,
  });
  service.plan = { methodChoice: { method: 'paged', levels: null } };
  const { methodChoice } = await client.planJob({ ...options, method: 'auto' });
  expect(methodChoice).toEqual({ method: 'paged', levels: null });
});

it('getJob gives the report as plain values, null where a stage did not run', async () => {
  const { client, service } = await start();
  const name = service.addJob({
    state: State.SUCCEEDED,
    stage: Stage.MERGE,
    retries: 2,
    report: {
      budgetBytes: 5n,
      peakDeviceBytes: 4n,
      stages: [{ stage: Stage.TRAIN, seconds: 1, peakDeviceBytes: 3n, device: 'cpu' }],
      validation: { base: 4, uncorrected: 2, corrected: 1 },
      correction: { chosen: '3', scores: { none: 2, 3: 1 } },
      train: {
        ...{ steps: 7, tokens: 8n, tokensPerSecond: 9, finalLoss: 0.5 },
        course: {
          curve: [
            { step: 0, loss: 4 },
            { step: 7, loss: 5 },
          ],
        },
      },
      ending: Ending.WORSE,
    },
  });
  expect(await client.getJob(name)).toMatchObject({
    state: 'succeeded',
    stage: 'merge',
    retries: 2,
    report: {
      budgetBytes: 5,
      peakDeviceBytes: 4,
      stages: [{ name: 'train', seconds: 1, peakDeviceBytes: 3, device: 'cpu' }],
      validation: {
        base: 4,
        emulator: null,
        emulatorTuned: null,
        uncorrected: 2,
        corrected: 1,
        refined: null,
      },
      correction: { chosen: '3', scores: { none: 2, 3: 1 } },
      emulator: null,
      refinement: null,
      ending: 'worse',
      courses: {
        train: {
          curve: [
            { step: 0, loss: 4 },
            { step: 7, loss: 5 },
          ],
          chosenStep: 0,
          divergence: null,
          stoppedEarly: false,
        },
        refine: null,
      },
      train: { steps: 7, tokens: 8, tokensPerSecond: 9, finalLoss: 0.5 },
    },
  });
});

it('a state or stage of a later version is unknown and not final', async () => {
  const { client, service } = await start();
  const job = await client.getJob(service.addJob({ state: 99 as State, stage: 99 as Stage }));
  expect([job.state, job.stage, isFinalState(job.state)]).toEqual(['unknown', null, false]);
});

it('a server that is not there is UNAVAILABLE', async () => {
  const { address, close } = await start();
  await close();
  expect((await thrownBy(() => clientOf(address).getJob('jobs/j1'))).code).toBe('UNAVAILABLE');
});
