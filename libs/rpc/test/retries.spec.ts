import { JobService } from '@emloc/contracts';
import { until } from '@emloc/time/testing';

import {
  anyone,
  isRetryable,
  retryPauseMs,
  RpcError,
  RpcServer,
  serverCredentials,
  type RetryPolicy,
} from '../src/index.js';
import { closeAll, jobHandlers, openChannel, ownHost, startServer, thrownBy } from './fixtures.js';

afterEach(closeAll);

const policy: RetryPolicy = { attempts: 4, initialDelayMs: 10, maxDelayMs: 50, factor: 3 };

describe('retries', () => {
  function failing(times: number, error: RpcError) {
    const ids: string[] = [];
    const answer = (_: unknown, { requestId }: { requestId: string }) => {
      ids.push(requestId);
      return ids.length <= times ? Promise.reject(error) : Promise.resolve({});
    };
    return { ids, answer };
  }

  it('repeat idempotent calls under one request id until they succeed', async () => {
    const { ids, answer } = failing(3, new RpcError('UNAVAILABLE', 'not now'));
    const { channel } = await startServer({ getJob: answer });
    await channel({ retry: policy }).client(JobService).getJob({});
    expect(ids).toHaveLength(4);
    expect(new Set(ids).size).toBe(1);
  });

  it('stop after the last attempt with its error', async () => {
    const { ids, answer } = failing(10, new RpcError('UNAVAILABLE', 'not now', { reason: 'BUSY' }));
    const { channel } = await startServer({ createJob: answer });
    expect(
      (await thrownBy(() => channel({ retry: policy }).client(JobService).createJob({}))).reason,
    ).toBe('BUSY');
    expect(ids).toHaveLength(4);
  });

  it('leave errors that would come again', async () => {
    const { ids, answer } = failing(10, new RpcError('INVALID_ARGUMENT', 'no'));
    const { channel } = await startServer({ getJob: answer });
    await thrownBy(() => channel({ retry: policy }).client(JobService).getJob({}));
    expect(ids).toHaveLength(1);
  });

  it('end with the deadline of the whole call', async () => {
    const { answer } = failing(1000, new RpcError('UNAVAILABLE', 'not now'));
    const { channel } = await startServer({ getJob: answer });
    const startMs = performance.now();
    const slow = { attempts: 1000, initialDelayMs: 30, maxDelayMs: 30, factor: 1 };
    await thrownBy(() =>
      channel({ retry: slow }).client(JobService).getJob({}, { timeoutMs: 200 }),
    );
    // Its thousand attempts would take half a minute.
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  it('wait as long as the server says', async () => {
    const { ids, answer } = failing(
      1,
      new RpcError('RESOURCE_EXHAUSTED', 'later', { retryDelayMs: 150 }),
    );
    const { channel } = await startServer({ getJob: answer });
    const startMs = performance.now();
    await channel({ retry: policy }).client(JobService).getJob({});
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(145);
    expect(ids).toHaveLength(2);
  });

  it('reach a server that comes back', async () => {
    const host = ownHost();
    const first = await startServer({}, { host });
    await first.server.close(0);
    const channel = openChannel({
      address: first.address,
      retry: { attempts: 50, initialDelayMs: 50, maxDelayMs: 100, factor: 1 },
    });
    const call = channel.client(JobService).getJob({ name: 'jobs/1' });
    const second = new RpcServer();
    second.addService(
      JobService,
      jobHandlers({ getJob: ({ name }) => Promise.resolve({ name }) }),
      { authenticate: anyone },
    );
    await second.listen({
      host,
      port: first.port,
      credentials: serverCredentials(null),
    });
    expect((await call).name).toBe('jobs/1');
    channel.close();
    await second.close(100);
  });

  it('end at once when the caller aborts between attempts', async () => {
    const { answer, ids } = failing(1000, new RpcError('UNAVAILABLE', 'not now'));
    const { channel } = await startServer({ getJob: answer });
    const controller = new AbortController();
    const slow = { attempts: 10, initialDelayMs: 5000, maxDelayMs: 5000, factor: 1 };
    const error = thrownBy(() =>
      channel({ retry: slow }).client(JobService).getJob({}, { signal: controller.signal }),
    );
    await until(() => ids.length === 1, 'the first attempt');
    controller.abort();
    expect((await error).code).toBe('CANCELLED');
  });
});

describe('retryPauseMs', () => {
  it('grows, stays below its maximum, and is spread over its upper half', () => {
    const at = (attempt: number, random: number) =>
      retryPauseMs(policy, attempt, { random: () => random });
    expect([1, 2, 3, 4].map((attempt) => at(attempt, 1))).toEqual([10, 30, 50, 50]);
    expect([1, 2, 3, 4].map((attempt) => at(attempt, 0))).toEqual([5, 15, 25, 25]);
    expect(retryPauseMs(policy, 1, { random: () => 0, retryDelayMs: 1000 })).toBe(1000);
  });
});

describe('isRetryable', () => {
  it.each<[boolean, unknown]>([
    [true, new RpcError('UNAVAILABLE', '')],
    [true, new RpcError('RESOURCE_EXHAUSTED', '', { retryDelayMs: 1 })],
    [true, new RpcError('ABORTED', '', { reason: 'RECORD_CONFLICT' })],
    [false, new RpcError('ABORTED', '', { reason: 'STAGE_SUPERSEDED' })],
    [false, new RpcError('RESOURCE_EXHAUSTED', '')],
    [false, new RpcError('DEADLINE_EXCEEDED', '')],
    [false, new Error('x')],
  ])('is %p for %p', (expected, error) => {
    expect(isRetryable(error)).toBe(expected);
  });
});
