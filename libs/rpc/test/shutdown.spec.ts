import { setTimeout as delay } from 'node:timers/promises';
import { JobService } from '@emloc/contracts';

import { RpcServer, serverCredentials } from '../src/index.js';
import { closeAll, collect, startServer, thrownBy } from './fixtures.js';

afterEach(closeAll);

const oneAttempt = { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, factor: 1 };

describe('closing a server', () => {
  it('lets calls in progress finish and refuses new ones', async () => {
    const { server, channel } = await startServer({
      getJob: () => delay(200).then(() => ({ name: 'done' })),
    });
    server.health.setReady(true);
    const client = channel({ retry: oneAttempt }).client(JobService);
    const running = client.getJob({});
    await delay(50);
    const closed = server.close(5000);
    expect(server.health.isReady).toBe(false);
    expect(
      (await thrownBy(() => channel({ retry: oneAttempt }).client(JobService).getJob({}))).code,
    ).toBe('UNAVAILABLE');
    expect((await running).name).toBe('done');
    expect(await closed).toEqual({ forced: false });
  });

  it('tells streams to end', async () => {
    const { server, channel } = await startServer({
      async *watchJob(_, { draining }) {
        yield { sequence: 1n };
        await new Promise((resolve) => draining.addEventListener('abort', resolve));
        yield { sequence: 2n };
      },
    });
    const events = collect(channel().client(JobService).watchJob({}));
    await delay(100);
    expect(await server.close(5000)).toEqual({ forced: false });
    expect((await events).map(({ sequence }) => sequence)).toEqual([1n, 2n]);
  });

  it('ends what is still running after the grace with UNAVAILABLE, once', async () => {
    const aborted: unknown[] = [];
    const { server, channel } = await startServer({
      getJob: (_, { signal }) =>
        new Promise(() => signal.addEventListener('abort', () => aborted.push(signal.reason))),
    });
    const error = thrownBy(() => channel({ retry: oneAttempt }).client(JobService).getJob({}));
    await delay(50);
    const startMs = performance.now();
    const closes = [server.close(150), server.close(60_000)];
    expect(await Promise.all(closes)).toEqual([{ forced: true }, { forced: true }]);
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(await error).toMatchObject({ code: 'UNAVAILABLE', reason: 'SERVER_CLOSING' });
    expect(aborted).toHaveLength(1);
  });

  it('does not wait for a connection on which nothing runs', async () => {
    const { server, channel } = await startServer({ getJob: () => Promise.resolve({}) });
    await channel().client(JobService).getJob({});
    expect(await server.close(5000)).toEqual({ forced: false });
  });

  it('says when a port is taken', async () => {
    const { port } = await startServer({});
    const second = new RpcServer();
    const error = await thrownBy(() =>
      second.listen({ host: '127.0.0.1', port, credentials: serverCredentials(null) }),
    );
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'LISTEN_FAILED' });
  });
});
