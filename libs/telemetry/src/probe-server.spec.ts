import { connect, Server } from 'node:net';

import {
  createTelemetry,
  startProbeServer,
  type ProbeServer,
  type ProbeServerOptions,
  type Readiness,
} from './index.js';

const telemetry = createTelemetry({ service: 'trainer', version: '1' });
const open: ProbeServer[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

afterAll(() => telemetry.close());

async function start(
  options: Partial<ProbeServerOptions> = {},
): Promise<(path: string, init?: RequestInit) => Promise<Response>> {
  const server = await startProbeServer({
    telemetry,
    readiness: () => ({ ready: true }),
    host: '127.0.0.1',
    port: 0,
    ...options,
  });
  open.push(server);
  return (path, init) => fetch(`http://127.0.0.1:${server.port}${path}`, init);
}

describe('the probe server', () => {
  it('serves metrics', async () => {
    const response = await (await start())('/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(await response.text()).toContain('emloc_build_info');
  });

  it('tells liveness apart from readiness', async () => {
    let readiness: Readiness = { ready: false, reason: 'NATS is not connected' };
    const get = await start({ readiness: () => readiness });
    const found = await get('/readyz');
    expect([found.status, await found.text()]).toEqual([503, 'NATS is not connected\n']);
    expect((await get('/livez')).status).toBe(200);
    expect((await get('/healthz')).status).toBe(200);
    readiness = { ready: true };
    expect((await get('/readyz')).status).toBe(200);
  });

  it('answers 404, 405 and 500 where they belong, and hides what went wrong', async () => {
    const get = await start({ readiness: () => Promise.reject(new Error('password is hunter2')) });
    expect((await get('/etc/passwd')).status).toBe(404);
    expect((await get('/metrics', { method: 'POST', body: 'x' })).status).toBe(405);
    const failed = await get('/readyz');
    expect([failed.status, await failed.text()]).toEqual([500, 'internal error\n']);
  });

  it('asks who reads metrics when told to, and lets probes be', async () => {
    const get = await start({ mayReadMetrics: (authorization) => authorization === 'Bearer good' });
    expect((await get('/metrics')).status).toBe(401);
    expect((await get('/metrics', { headers: { authorization: 'Bearer good' } })).status).toBe(200);
    expect((await get('/livez')).status).toBe(200);
  });

  it('closes although a connection is open', async () => {
    const server = await startProbeServer({
      telemetry,
      readiness: () => ({ ready: true }),
      host: '127.0.0.1',
      port: 0,
    });
    const socket = connect(server.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.on('error', () => undefined);
    await server.close();
    socket.destroy();
  });

  it('says when a port is taken', async () => {
    const first = await startProbeServer({
      telemetry,
      readiness: () => ({ ready: true }),
      host: '127.0.0.1',
      port: 0,
    });
    open.push(first);
    await expect(start({ port: first.port })).rejects.toMatchObject({
      code: 'TELEMETRY_LISTEN_FAILED',
      message: expect.stringContaining(`:${first.port}`),
    });
  });

  it('takes another port when the one chosen for it was taken meanwhile', async () => {
    const get = await whileTaken(2, () => start());
    expect((await get('/livez')).status).toBe(200);
    await expect(whileTaken(100, () => start())).rejects.toMatchObject({
      code: 'TELEMETRY_LISTEN_FAILED',
      message: expect.stringContaining('EADDRINUSE'),
    });
  });
});

/** Runs `act` while the first `times` of a server's attempts to listen find their port taken. */
async function whileTaken<T>(times: number, act: () => Promise<T>): Promise<T> {
  const { listen } = Server.prototype;
  let left = times;
  Server.prototype.listen = function taken(this: Server, ...args: Parameters<typeof listen>) {
    if (left-- <= 0) return listen.apply(this, args);
    const error = Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' });
    process.nextTick(() => this.emit('error', error));
    return this;
  } as typeof listen;
  try {
    return await act();
  } finally {
    Server.prototype.listen = listen;
  }
}
