import { Server } from 'node:net';
import { JobService } from '@emloc/contracts';
import { until } from '@emloc/time/testing';

import { RpcServer, serverCredentials } from '../src/index.js';
import { closeAll, collect, ownHost, startServer, thrownBy } from './fixtures.js';

afterEach(closeAll);

const oneAttempt = { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, factor: 1 };

describe('closing a server', () => {
  it('lets calls in progress finish and refuses new ones', async () => {
    const calls: (() => void)[] = [];
    const { server, channel } = await startServer(
      {
        getJob: () =>
          new Promise((resolve) => {
            calls.push(() => resolve({ name: 'done' }));
          }),
      },
      { host: ownHost() },
    );
    server.health.setReady(true);
    const client = channel({ retry: oneAttempt }).client(JobService);
    const running = client.getJob({});
    await until(() => calls.length === 1, 'the call');
    const closed = server.close(60_000);
    expect(server.health.isReady).toBe(false);
    expect(
      (await thrownBy(() => channel({ retry: oneAttempt }).client(JobService).getJob({}))).code,
    ).toBe('UNAVAILABLE');
    calls[0]?.();
    expect((await running).name).toBe('done');
    expect(await closed).toEqual({ forced: false });
    expect(calls).toHaveLength(1);
  });

  it('tells streams to end', async () => {
    let started = false;
    const { server, channel } = await startServer({
      async *watchJob(_, { draining }) {
        yield { sequence: 1n };
        started = true;
        await new Promise((resolve) => draining.addEventListener('abort', resolve));
        yield { sequence: 2n };
      },
    });
    const events = collect(channel().client(JobService).watchJob({}));
    await until(() => started, 'the start');
    expect(await server.close(60_000)).toEqual({ forced: false });
    expect((await events).map(({ sequence }) => sequence)).toEqual([1n, 2n]);
  });

  it('ends what is still running after the grace with UNAVAILABLE, once', async () => {
    let started = false;
    const aborted: unknown[] = [];
    const { server, channel } = await startServer({
      getJob: (_, { signal }) => {
        started = true;
        return new Promise(() =>
          signal.addEventListener('abort', () => aborted.push(signal.reason)),
        );
      },
    });
    const error = thrownBy(() => channel({ retry: oneAttempt }).client(JobService).getJob({}));
    await until(() => started, 'the start');
    const startMs = performance.now();
    const closes = [server.close(150), server.close(60_000)];
    expect(await Promise.all(closes)).toEqual([{ forced: true }, { forced: true }]);
    // Far from the 60 s of the second call, which waits for the first.
    expect(performance.now() - startMs).toBeLessThan(30_000);
    expect(await error).toMatchObject({ code: 'UNAVAILABLE', reason: 'SERVER_CLOSING' });
    expect(aborted).toHaveLength(1);
  });

  it('does not wait for a connection on which nothing runs', async () => {
    const { server, channel } = await startServer({ getJob: () => Promise.resolve({}) });
    await channel().client(JobService).getJob({});
    expect(await server.close(60_000)).toEqual({ forced: false });
  });
});

describe('listening', () => {
  const anyPort = { host: '127.0.0.1', port: 0, credentials: serverCredentials(null) };

  it('says when a port is taken', async () => {
    const { port } = await startServer({});
    const error = await thrownBy(() => new RpcServer().listen({ ...anyPort, port }));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'LISTEN_FAILED' });
  });

  it('takes another port when the one chosen for it was taken meanwhile', async () => {
    const server = new RpcServer();
    const { port } = await whileTaken(2, () => server.listen(anyPort));
    expect(port).toBeGreaterThan(0);
    await server.close(0);
    const error = await thrownBy(() => whileTaken(100, () => new RpcServer().listen(anyPort)));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'LISTEN_FAILED' });
  });
});

/** Runs `act` while the first `times` of a server's attempts to listen find their port taken. */
async function whileTaken<T>(times: number, act: () => Promise<T>): Promise<T> {
  const { listen } = Server.prototype;
  let left = times;
  Server.prototype.listen = function taken(this: Server, ...args: Parameters<typeof listen>) {
    if (left-- <= 0) return listen.apply(this, args);
    process.nextTick(() => this.emit('error', new Error('listen EADDRINUSE')));
    return this;
  } as typeof listen;
  try {
    return await act();
  } finally {
    Server.prototype.listen = listen;
  }
}
