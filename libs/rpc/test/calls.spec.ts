import { JobService } from '@emloc/contracts';
import { takes, until } from '@emloc/time/testing';

import { RpcError, type CallContext, type RpcObserver } from '../src/index.js';
import { closeAll, collect, startServer, thrownBy } from './fixtures.js';

afterEach(closeAll);

describe('unary calls', () => {
  it('carry messages both ways', async () => {
    const { channel } = await startServer({
      getJob: ({ name }) => Promise.resolve({ name, retries: 2, lastEventSequence: 7n }),
    });
    const job = await channel().client(JobService).getJob({ name: 'jobs/1' });
    expect(job).toMatchObject({
      $typeName: 'emloc.v1.Job',
      name: 'jobs/1',
      retries: 2,
      lastEventSequence: 7n,
    });
  });

  it('end with DEADLINE_EXCEEDED on both sides when the handler takes too long', async () => {
    let seen: CallContext | null = null;
    const { channel } = await startServer({
      getJob: (_, context) => {
        seen = context;
        return new Promise(() => undefined);
      },
    });
    const connected = channel();
    await connected.waitForReady(30_000);
    const error = await thrownBy(() =>
      connected.client(JobService).getJob({ name: 'jobs/1' }, { timeoutMs: 1000 }),
    );
    expect(error.code).toBe('DEADLINE_EXCEEDED');
    await until(() => seen?.signal.aborted === true, 'the abort');
    expect(seen).toMatchObject({ signal: { aborted: true, reason: { name: 'RpcError' } } });
  });

  it('get a deadline from the server when they come without one', async () => {
    const { channel } = await startServer(
      { getJob: () => new Promise(() => undefined) },
      { unaryTimeoutMs: 50 },
    );
    const error = await thrownBy(() =>
      channel().client(JobService).getJob({}, { timeoutMs: Number.POSITIVE_INFINITY }),
    );
    expect(error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      metadata: { request_id: expect.any(String) },
    });
  });

  it('are cancelled by the signal, and the handler learns of it', async () => {
    const reasons: unknown[] = [];
    const controller = new AbortController();
    const { channel } = await startServer({
      getJob: (_, { signal }) =>
        new Promise(() => {
          signal.addEventListener('abort', () => reasons.push((signal.reason as RpcError).code));
          controller.abort();
        }),
    });
    const error = await thrownBy(() =>
      channel().client(JobService).getJob({}, { signal: controller.signal }),
    );
    expect(error.code).toBe('CANCELLED');
    await until(() => reasons.length > 0, 'the reason');
    expect(reasons).toEqual(['CANCELLED']);
  });

  it('do not start when the signal is aborted already', async () => {
    const { channel } = await startServer({ getJob: () => Promise.reject(new Error('called')) });
    const error = await thrownBy(() =>
      channel().client(JobService).getJob({}, { signal: AbortSignal.abort() }),
    );
    expect(error.code).toBe('CANCELLED');
  });

  it('name the request on both ends', async () => {
    const seen: string[] = [];
    const { channel } = await startServer({
      getJob: (_, { requestId }) => {
        seen.push(requestId);
        throw new RpcError('NOT_FOUND', 'no such job');
      },
    });
    const client = channel().client(JobService);
    const error = await thrownBy(() => client.getJob({}, { requestId: 'request-1' }));
    expect(error.metadata['request_id']).toBe('request-1');
    await thrownBy(() => client.getJob({}, { requestId: 'not a good id' }));
    expect(seen[0]).toBe('request-1');
    expect(seen[1]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('are told to the observer with code, duration and the error as it was thrown', async () => {
    const finished: Parameters<NonNullable<RpcObserver['callFinished']>>[0][] = [];
    const started: string[] = [];
    const thrown = new Error('secret detail');
    const { channel } = await startServer(
      { getJob: () => Promise.resolve({}), cancelJob: () => Promise.reject(thrown) },
      {
        observer: {
          callStarted: ({ method }) => started.push(method),
          callFinished: (call) => finished.push(call),
        },
      },
    );
    const client = channel().client(JobService);
    await client.getJob({});
    await thrownBy(() => client.cancelJob({}));
    expect(started).toEqual(['/emloc.v1.JobService/GetJob', '/emloc.v1.JobService/CancelJob']);
    expect(finished.map(({ code }) => code)).toEqual(['OK', 'INTERNAL']);
    expect(finished[1]?.error).toBe(thrown);
    expect(finished[0]?.seconds).toBeGreaterThan(0);
  });
});

describe('server streams', () => {
  it('arrive in order and whole', async () => {
    const { channel } = await startServer({
      async *watchJob({ afterSequence }) {
        for (let i = 1n; i <= 1000n; i += 1n) yield { sequence: afterSequence + i };
      },
    });
    const events = await collect(channel().client(JobService).watchJob({ afterSequence: 5n }));
    expect(events.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 1000 }, (_, i) => BigInt(i + 6)),
    );
  });

  it('hold the producer back while the reader is slow', async () => {
    let produced = 0;
    const data = new Uint8Array(256 * 1024);
    const { channel } = await startServer({
      async *downloadArtifact() {
        for (; produced < 1000; produced += 1) yield { data };
      },
      getJob: () => Promise.resolve({}),
    });
    const stream = channel().client(JobService).downloadArtifact({})[Symbol.asyncIterator]();
    await stream.next();
    // Held back: others are answered, and nothing more is produced meanwhile.
    await until(async () => {
      const before = produced;
      for (let call = 0; call < 50; call += 1) await channel().client(JobService).getJob({});
      return produced === before;
    }, 'the producer to be held back');
    expect(produced * data.length).toBeLessThan(20 * 1024 * 1024);
    await stream.return?.();
  });

  it('end the producer when the reader stops', async () => {
    let ended = false;
    const { channel } = await startServer({
      async *watchJob(_, { signal }) {
        try {
          for (let i = 1n; ; i += 1n) {
            yield { sequence: i };
            await takes(5, { signal });
          }
        } finally {
          ended = true;
        }
      },
    });
    for await (const { sequence } of channel().client(JobService).watchJob({}))
      if (sequence === 3n) break;
    await until(() => ended, 'the end');
  });

  it('end with the error that the producer throws, after everything before it', async () => {
    const { channel } = await startServer({
      async *watchJob() {
        yield { sequence: 1n };
        throw new RpcError('DATA_LOSS', 'event 2 is gone', { reason: 'EVENT_GONE' });
      },
    });
    const seen: bigint[] = [];
    const error = await thrownBy(async () => {
      for await (const { sequence } of channel().client(JobService).watchJob({}))
        seen.push(sequence);
    });
    expect(seen).toEqual([1n]);
    expect(error).toMatchObject({ code: 'DATA_LOSS', reason: 'EVENT_GONE' });
  });

  it('are cancelled by the signal while nothing arrives', async () => {
    const { channel } = await startServer({
      async *watchJob() {
        yield { sequence: 1n };
        await new Promise(() => undefined);
      },
    });
    const controller = new AbortController();
    const events = channel().client(JobService).watchJob({}, { signal: controller.signal });
    const iterator = events[Symbol.asyncIterator]();
    await iterator.next();
    const next = thrownBy(() => iterator.next());
    controller.abort();
    expect((await next).code).toBe('CANCELLED');
  });

  it('serve 200 readers at once, and one that does not read slows nobody', async () => {
    const { channel } = await startServer({
      async *watchJob() {
        for (let i = 1n; i <= 50n; i += 1n) yield { sequence: i };
      },
    });
    const client = channel().client(JobService);
    const stuck = client.watchJob({})[Symbol.asyncIterator]();
    await stuck.next();
    const all = await Promise.all(Array.from({ length: 200 }, () => collect(client.watchJob({}))));
    expect(all.every((events) => events.length === 50)).toBe(true);
    await stuck.return?.();
  });
});

describe('client streams', () => {
  it('arrive in order and whole', async () => {
    const { channel } = await startServer({
      async uploadDataset(requests) {
        let bytes = 0;
        let name = '';
        for await (const { content } of requests) {
          if (content.case === 'upload') name = content.value.displayName;
          else bytes += content.value?.length ?? 0;
        }
        return { name, sizeBytes: BigInt(bytes) };
      },
    });
    const dataset = await channel()
      .client(JobService)
      .uploadDataset(upload(64, 1024 * 1024));
    expect(dataset).toMatchObject({ name: 'rows', sizeBytes: BigInt(64 * 1024 * 1024) });
  });

  it('end at once when the server refuses early, and the source is told', async () => {
    let told = false;
    const { channel, server } = await startServer({
      async uploadDataset(requests) {
        for await (const _ of requests)
          throw new RpcError('RESOURCE_EXHAUSTED', 'too large', { reason: 'UPLOAD_TOO_LARGE' });
        return {};
      },
    });
    const endless = (async function* () {
      try {
        for (;;) yield { content: { case: 'data' as const, value: new Uint8Array(1024 * 1024) } };
      } finally {
        told = true;
      }
    })();
    const error = await thrownBy(() => channel().client(JobService).uploadDataset(endless));
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'UPLOAD_TOO_LARGE' });
    await until(() => told, 'the message');
    expect(await server.close(60_000)).toEqual({ forced: false });
  });

  it('end with the error of the source, and the handler never takes that for the end of the stream', async () => {
    const ends: (string | undefined)[] = [];
    const { channel } = await startServer({
      async uploadDataset(requests, { signal }) {
        try {
          for await (const _ of requests);
        } finally {
          ends.push((signal.reason as RpcError | undefined)?.code);
        }
        return {};
      },
    });
    async function* broken(messages: number) {
      yield* upload(messages, 10);
      if (messages % 2) await takes(5);
      throw new Error('the file is gone');
    }
    const client = channel().client(JobService);
    for (let messages = 0; messages < 20; messages += 1) {
      await expect(client.uploadDataset(broken(messages))).rejects.toThrow('the file is gone');
    }
    await until(() => ends.length > 5, 'some ends');
    expect(new Set(ends)).toEqual(new Set(['CANCELLED']));
  });
});

async function* upload(chunks: number, chunkBytes: number) {
  yield {
    content: {
      case: 'upload' as const,
      value: { displayName: 'rows', sizeBytes: BigInt(chunks * chunkBytes) },
    },
  };
  for (let i = 0; i < chunks; i += 1)
    yield { content: { case: 'data' as const, value: new Uint8Array(chunkBytes) } };
}
