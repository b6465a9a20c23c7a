import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNats, type NatsConnection } from '@emloc/nats';
import { startNatsServer, type NatsServer } from '@emloc/nats/testing';
import { createLogger } from '@emloc/service';
import { createTelemetry } from '@emloc/telemetry';
import { until } from '@emloc/time/testing';

import { openLeases, takePartInLeadership } from '../src/leadership.js';

const ttlMs = 1500;
const folder = mkdtempSync(join(tmpdir(), 'emloc-leadership-'));
let server: NatsServer;
let nats: NatsConnection;
beforeAll(async () => {
  server = await startNatsServer({ storeDir: folder });
  nats = await connectNats({ servers: [server.url] });
});
afterAll(async () => {
  await nats.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('a lost lease ends the leading, is counted, and is followed by a pause', async () => {
  const leases = await openLeases(nats, { ttlMs, replicas: undefined });
  const telemetry = createTelemetry({ service: 'coordinator', version: 'test' });
  const valueOf = async (name: string): Promise<string | undefined> =>
    new RegExp(`^${name}\\{[^}]*\\} (.*)$`, 'm').exec(await telemetry.expose())?.[1];
  const ending = new AbortController();
  const terms: { token: number; startedMs: number; endedMs: number }[] = [];
  const taking = takePartInLeadership({
    leases,
    ttlMs,
    owner: 'only',
    logger: createLogger({ service: 'coordinator', level: 'silent' }),
    metrics: telemetry.metrics,
    signal: ending.signal,
    lead: async (token, stop) => {
      const term = { token, startedMs: performance.now(), endedMs: Number.NaN };
      terms.push(term);
      await new Promise((resolve) => {
        stop.addEventListener('abort', resolve, { once: true });
      });
      term.endedMs = performance.now();
    },
  });
  await until(() => terms.length === 1, 'leading');
  expect(await valueOf('emloc_coordinator_lease_losses_total')).toBe('0');
  await leases.purge();
  await until(() => terms.length === 2, 'leading again');
  const [first, second] = terms;
  expect(second?.token).toBeGreaterThan(first?.token ?? Number.POSITIVE_INFINITY);
  expect((second?.startedMs ?? 0) - (first?.endedMs ?? 0)).toBeGreaterThanOrEqual(240);
  expect(await valueOf('emloc_coordinator_lease_losses_total')).toBe('1');
  expect(await valueOf('emloc_coordinator_lease_repairs_total')).toBe('0');
  ending.abort();
  await taking;
  // Giving it back is no loss.
  expect(await valueOf('emloc_coordinator_lease_losses_total')).toBe('1');
  telemetry.close();
});
