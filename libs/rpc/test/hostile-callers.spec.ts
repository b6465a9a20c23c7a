import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { JobService } from '@emloc/contracts';
import { until } from '@emloc/time/testing';

import {
  bearerTokens,
  clientCredentials,
  codeOf,
  hashToken,
  RpcError,
  type Authenticator,
} from '../src/index.js';
import { closeAll, startServer, thrownBy, tlsOf } from './fixtures.js';

const sockets: { destroy(): void }[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await closeAll();
});

const authenticate = bearerTokens(
  ['a', 'b'].map((tenant) => ({
    tenant,
    sha256: hashToken(`token-${tenant}`),
    expiresAtMs: null,
  })),
);
const onlyOnce = { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, factor: 1 };
const answered = { getJob: () => Promise.resolve({ name: 'jobs/1' }) };

function session(address: string): ClientHttp2Session {
  const opened = connectHttp2(`http://${address}`);
  opened.on('error', () => undefined);
  sockets.push(opened);
  return opened;
}

/** Begins a call whose request is never complete. @returns the code that it is answered with */
async function beginCall(
  opened: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
  body = Buffer.from([0, 0, 16, 0, 0, 1, 2, 3]),
): Promise<string> {
  const stream = opened.request({
    ':method': 'POST',
    ':path': '/emloc.v1.JobService/GetJob',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.write(body);
  const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
  stream.destroy();
  return codeOf(Number(answer['grpc-status']));
}

async function untilClosed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close');
}

/** A frame of HTTP/2. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** Headers as HPACK has them without a table; Node's own client sends none of them twice. */
function literals(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  const text = (value: string): Buffer =>
    Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat(
    headers.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  );
}

function callWith(authorizations: readonly string[]): Buffer {
  const headers = literals([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/emloc.v1.JobService/GetJob'],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...authorizations.map((value) => ['authorization', value] as const),
  ]);
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(4, 0, 0, Buffer.alloc(0)),
    frame(1, 4, 1, headers),
    frame(0, 1, 1, Buffer.alloc(5)),
  ]);
}

test.each<[string, string[], string]>([
  ['one', ['Bearer token-a'], 'OK'],
  ['two of tenants', ['Bearer token-a', 'Bearer token-b'], 'UNAUTHENTICATED'],
  ['the same twice', ['Bearer token-a', 'Bearer token-a'], 'UNAUTHENTICATED'],
  ['a good one at the end', ['Bearer wrong', 'Bearer token-a'], 'UNAUTHENTICATED'],
  ['a good one at the start', ['Bearer token-a', 'Basic abc'], 'UNAUTHENTICATED'],
  ['two in one', ['Bearer token-a, Bearer token-a'], 'UNAUTHENTICATED'],
])('authorization headers, %s: %s', async (_, authorizations, expected) => {
  const codes: string[] = [];
  const { port } = await startServer(answered, {
    authenticate,
    observer: { callFinished: ({ code }) => codes.push(code) },
  });
  const socket = connectTcp(port, '127.0.0.1');
  sockets.push(socket);
  socket.write(callWith(authorizations));
  await until(() => codes.length > 0, 'the call ends');
  expect(codes).toEqual([expected]);
});

test('of an unknown caller no request is read, of others not for longer than one may take', async () => {
  const { address } = await startServer(answered, { authenticate, requestMs: 300 });
  const opened = session(address);
  expect(await beginCall(opened, {})).toBe('UNAUTHENTICATED');
  const startMs = performance.now();
  expect(await beginCall(opened, { authorization: 'Bearer token-a' })).toBe('DEADLINE_EXCEEDED');
  expect(performance.now() - startMs).toBeGreaterThan(250);
});

test('a handshake that does not end is ended', async () => {
  const { port, channel } = await startServer(answered, {
    tls: tlsOf('localhost'),
    handshakeMs: 300,
  });
  const untilSilentIsClosed = async (): Promise<void> => {
    const silent = connectTcp(port, '127.0.0.1').on('error', () => undefined);
    sockets.push(silent);
    await untilClosed(silent);
  };
  await untilSilentIsClosed();
  const credentials = clientCredentials({ ...tlsOf('localhost'), identity: null });
  const patient = channel({ credentials }).client(JobService);
  await patient.getJob({});
  await untilSilentIsClosed();
  await expect(patient.getJob({})).resolves.toMatchObject({ name: 'jobs/1' });
});

test('one more connection takes the place of one of those who hold the most', async () => {
  const { port, channel } = await startServer(answered, { authenticate, maxConnections: 4 });
  const good = channel({ token: 'token-a', retry: onlyOnce }).client(JobService);
  await good.getJob({});
  const opened = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const socket = connectTcp(port, '127.0.0.1').on('error', () => undefined);
      sockets.push(socket);
      await once(socket.resume(), 'connect');
      return socket;
    }),
  );
  await Promise.all(opened.slice(0, 9).map((socket) => untilClosed(socket)));
  await good.getJob({});
  await channel({ token: 'token-b', retry: onlyOnce }).client(JobService).getJob({});
  expect(opened.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(3);
});

test('a tenant has so many calls at a time, over all its connections, and others have theirs', async () => {
  const release: (() => void)[] = [];
  const { channel } = await startServer(
    {
      getJob: () =>
        new Promise((resolve) => {
          release.push(() => resolve({}));
        }),
    },
    { authenticate, maxCallsOfTenant: 3 },
  );
  const call = (token: string) => channel({ token, retry: onlyOnce }).client(JobService).getJob({});
  const calls = [1, 2, 3].map(() => call('token-a'));
  await until(() => release.length === 3, 'three calls');
  expect(await thrownBy(() => call('token-a'))).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'TOO_MANY_CALLS',
  });
  const other = call('token-b');
  await until(() => release.length === 4, 'a call of the other');
  for (const end of release) end();
  await Promise.all([...calls, other]);
});

test.each([
  ['is revoked', new RpcError('UNAUTHENTICATED', 'not known', { reason: 'TOKEN_INVALID' })],
  ['becomes the token of another', null],
])('a token that %s ends its open calls', async (_, refusal) => {
  let isGood = true;
  let checksOfKept = 0;
  const changing: Authenticator = (identity) => {
    if (identity.authorization === 'Bearer token-b') checksOfKept += 1;
    if (isGood || identity.authorization === 'Bearer token-b') return authenticate(identity);
    if (refusal) throw refusal;
    return { kind: 'tenant', tenant: 'b' };
  };
  const { channel } = await startServer(
    {
      async *watchJob(_request, { signal }) {
        yield {};
        await once(signal, 'abort');
      },
    },
    { authenticate: changing, reauthenticateMs: 50 },
  );
  const ending = new AbortController();
  const watch = (token: string) => {
    const stream = channel({ token }).client(JobService).watchJob({}, { signal: ending.signal });
    return stream[Symbol.asyncIterator]();
  };
  const [revoked, kept] = [watch('token-a'), watch('token-b')];
  await Promise.all([revoked.next(), kept.next()]);
  isGood = false;
  expect(await thrownBy(() => revoked.next())).toMatchObject({
    code: 'UNAUTHENTICATED',
    reason: 'TOKEN_INVALID',
  });
  const checks = checksOfKept;
  await until(() => checksOfKept > checks + 1, 'the other is checked again');
  const next = kept.next();
  expect(await Promise.race([next, Promise.resolve('open')])).toBe('open');
  ending.abort();
  await expect(next).rejects.toMatchObject({ code: 'CANCELLED' });
});
