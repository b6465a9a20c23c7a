import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { connectNats } from '../connection/access.js';
import { openLane } from '../connection/socket-lane.js';
import { natsServerConfig } from '../server/server-config.js';
import { findNatsServer } from '../server/server-program.js';
import { startNatsServer } from './server.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-server-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('says how to get nats-server when it is not there', () => {
  const found = (() => {
    try {
      return findNatsServer('/nowhere');
    } catch (error) {
      return error;
    }
  })();
  if (typeof found === 'string') expect(found).toMatch(/^\/usr\/(local\/)?sbin\//);
  else
    expect(found).toMatchObject({
      code: 'NATS_SERVER_NOT_FOUND',
      message: expect.stringContaining('apt-get install nats-server'),
    });
});

test('a server that finds its port taken by another fails', async () => {
  const first = await startNatsServer({ storeDir: join(folder, 'first') });
  await expect(
    startNatsServer({ storeDir: join(folder, 'second'), port: first.port, readyTimeoutMs: 3000 }),
  ).rejects.toMatchObject({
    code: 'NATS_SERVER_FAILED',
    message: expect.stringContaining(String(first.port)),
  });
  await first.stop();
});

test('the configuration is for its owner only, and quotes what it is given', async () => {
  const text = natsServerConfig({
    serverName: 's',
    host: '127.0.0.1',
    port: 1,
    storeDir: '/a "b"',
    maxPayloadBytes: 1,
    maxPendingBytes: 2,
    users: [
      {
        kind: 'password',
        user: 'u',
        password: 'p"} x',
        permissions: { publish: ['a.>'], denyPublish: ['a.b', 'a."'], subscribe: ['_INBOX.>'] },
      },
    ],
  });
  expect(text).toContain('store_dir: "/a \\"b\\""');
  expect(text).toContain('password: "p\\"} x"');
  expect(text).toContain('publish: { allow: ["a.>"], deny: ["a.b", "a.\\""] }');
  const server = await startNatsServer({ storeDir: join(folder, 'mode') });
  expect(statSync(join(folder, 'mode', 'nats-server.conf')).mode & 0o777).toBe(0o600);
  await server.stop();
  expect(server.running).toBe(false);
});

test('the configuration can leave values to the environment of the server, and encrypts the monitoring page with the rest', async () => {
  const [files, storeDir] = [makeCertificates(folder), join(folder, 'variables')];
  const user = {
    kind: 'password',
    user: 'u',
    password: { variable: 'PASSWORD_OF_U' },
    permissions: {
      publish: Array.from({ length: 20 }, (_, index) => `subject.${index}`),
      subscribe: ['_INBOX.>'],
    },
  } as const;
  process.env['PASSWORD_OF_U'] = 'from-the-environment';
  process.env['STORE_BYTES'] = '1MB';
  const server = await startNatsServer({
    storeDir,
    monitorPort: -1,
    users: [user],
    maxStoreBytes: { variable: 'STORE_BYTES' },
    tls: { certFile: files.cert, keyFile: files.key, clientCaFile: files.cert },
  });
  const text = readFileSync(join(storeDir, 'nats-server.conf'), 'utf8');
  expect(text).toContain('password: $PASSWORD_OF_U,');
  expect(text).toMatch(/allow: \[\n +"subject\.0"\n/);
  const ca = readFileSync(files.cert, 'utf8');
  const tls = { ca, cert: ca, key: readFileSync(files.key, 'utf8') };
  const nats = await connectNats({
    servers: [server.url],
    tls,
    auth: { kind: 'password', user: 'u', password: 'from-the-environment' },
  });
  nats.publish('subject.19');
  await nats.flush();
  await nats.close();
  const page = await new Promise<string>((resolve, reject) => {
    get({ host: '127.0.0.1', port: server.monitorPort, path: '/jsz', ca }, (response) => {
      let body = '';
      response
        .on('data', (data: Buffer) => {
          body += data.toString();
        })
        .on('end', () => resolve(body));
    }).once('error', reject);
  });
  expect(JSON.parse(page)).toMatchObject({ config: { max_storage: 2 ** 20 } });
  await server.stop();
});

test('client and lane speak TLS, with a client certificate, and refuse a foreign authority', async () => {
  const files = makeCertificates(join(folder));
  const server = await startNatsServer({
    storeDir: join(folder, 'tls'),
    tls: { certFile: files.cert, keyFile: files.key, clientCaFile: files.cert },
  });
  const [ca, key] = [readFileSync(files.cert, 'utf8'), readFileSync(files.key, 'utf8')];
  const access = { servers: [server.url], tls: { ca, cert: ca, key } };
  const nats = await connectNats(access);
  const lane = await openLane(access);
  const received = new Promise<number>((resolve) => {
    lane.subscribe('x', (message) => {
      resolve(message.payload.length);
      message.release();
    });
  });
  lane.publish('x', [new Uint8Array(500_000)]);
  expect(await received).toBe(500_000);
  lane.close();
  await nats.close();
  await expect(
    openLane({ servers: [server.url], tls: {} }, { connectTimeoutMs: 700 }),
  ).rejects.toMatchObject({ code: 'NATS_CONNECT_FAILED' });
  await server.stop();
});

function makeCertificates(target: string): { cert: string; key: string } {
  const [cert, key] = [join(target, 'cert.pem'), join(target, 'key.pem')];
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    key,
    '-out',
    cert,
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=IP:127.0.0.1,DNS:localhost',
  ]);
  expect(made.status).toBe(0);
  return { cert, key };
}
