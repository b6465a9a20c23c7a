import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NatsError } from '@emloc/nats';
import { startNatsServer } from '@emloc/nats/testing';
import { until } from '@emloc/time/testing';

import { connectPatiently, isRefusal, patiently } from './nats-connections.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-connections-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('waits for a server that starts later, saying that it does', async () => {
  // Where there are many loopback addresses, nobody else takes the port meanwhile.
  const host = process.platform === 'linux' ? `127.${randomInt(1, 255)}.0.2` : '127.0.0.1';
  const server = await startNatsServer({ storeDir: folder, host });
  await server.stop();
  const warnings: string[] = [];
  const { signal } = new AbortController();
  const connecting = connectPatiently(
    { servers: [server.url] },
    { logger: { warn: (_, message) => warnings.push(message) }, signal, patienceMs: 60_000 },
  );
  await until(() => warnings.length > 0, 'a warning');
  await server.restart();
  const { nats, lane } = await connecting;
  expect([lane.connected, nats.isClosed()]).toEqual([true, false]);
  lane.close();
  await nats.close();
  await server.stop();
});

test('gives up when its patience ends, or when it is told to', async () => {
  // No server gets this port by chance.
  const access = { servers: ['127.0.0.1:1'] };
  const logger = { warn: () => undefined };
  await expect(
    connectPatiently(access, { logger, signal: new AbortController().signal, patienceMs: 0 }),
  ).rejects.toMatchObject({ code: 'NATS_CONNECT_FAILED' });
  await expect(
    connectPatiently(access, {
      logger,
      signal: AbortSignal.abort(new Error('stop')),
      patienceMs: 60_000,
    }),
  ).rejects.toThrow('stop');
});

test('what a server interrupts is done again, but not what is final', async () => {
  const options = {
    logger: { warn: () => undefined },
    signal: new AbortController().signal,
    patienceMs: 60_000,
  };
  const errors = [new Error('timeout'), new Error('no responders')];
  const act = () => {
    const error = errors.shift();
    return error ? Promise.reject(error) : Promise.resolve('done');
  };
  await expect(patiently(act, () => false, options)).resolves.toBe('done');
  const refused = () => Promise.reject(new Error('refused'));
  await expect(patiently(refused, () => true, options)).rejects.toThrow('refused');
});

test.each<[boolean, string, string | undefined]>([
  [true, 'the server refused the credentials', undefined],
  [true, 'Authorization Violation', undefined],
  [
    true,
    'no answer within 3000 ms (the server requires TLS and no TLS options were given)',
    undefined,
  ],
  [true, 'no answer within 3000 ms', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  [true, 'no answer within 3000 ms', 'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE'],
  [false, 'no answer within 3000 ms', 'ECONNREFUSED'],
  [false, 'no answer within 3000 ms', 'ECONNRESET'],
])('refusal: %s for "%s", %s', (expected, message, code) => {
  expect(
    isRefusal(
      new NatsError('NATS_CONNECT_FAILED', message, {
        cause: Object.assign(new Error(), { code }),
      }),
    ),
  ).toBe(expected);
  expect(isRefusal(Object.assign(new Error(message), { code }))).toBe(false);
});
