import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';

import { openRecordStore, type RecordStore } from '../records/record-store.js';
import { startNatsHarness, type NatsHarness } from '../testing/nats-harness.js';
import { acquireLease, modifyFenced, tryAcquireLease, type LeaseRecord } from './lease.js';

/** Several times what a process waits for a busy processor. */
const ttlMs = 3000;
let harness: NatsHarness;
let nats: NatsConnection;
let store: RecordStore<LeaseRecord>;
beforeAll(async () => {
  harness = await startNatsHarness();
  nats = await harness.connect();
  store = await openRecordStore<LeaseRecord>({ nats, bucket: 'leases', ttlMs });
});
afterAll(() => harness.stop());

test('has one holder, who keeps it beyond its time by renewing', async () => {
  const lease = await acquireLease({ store, name: 'leader', owner: 'a', ttlMs });
  expect(await tryAcquireLease({ store, name: 'leader', owner: 'b', ttlMs })).toBeUndefined();
  await sleep(1.5 * ttlMs);
  expect(await tryAcquireLease({ store, name: 'leader', owner: 'b', ttlMs })).toBeUndefined();
  expect(lease.lost.aborted).toBe(false);
  await lease.release();
  const next = await acquireLease({ store, name: 'leader', owner: 'b', ttlMs });
  expect(next.token).toBeGreaterThan(lease.token);
  await next.release();
});

test('a holder that is cut off knows before the next one has it', async () => {
  const severed = await harness.connect();
  const mine = await openRecordStore<LeaseRecord>({ nats: severed, bucket: 'leases', ttlMs });
  const lease = await acquireLease({ store: mine, name: 'cut', owner: 'a', ttlMs });
  let lostMs = Infinity;
  lease.lost.addEventListener('abort', () => {
    lostMs = performance.now();
  });
  await severed.close();
  const next = await acquireLease({ store, name: 'cut', owner: 'b', ttlMs });
  expect(performance.now()).toBeGreaterThan(lostMs);
  expect(lease.lost.reason).toMatchObject({ code: 'LEASE_LOST' });
  expect(next.token).toBeGreaterThan(lease.token);
  await next.release();
});

test('stops waiting when it is told to', async () => {
  const lease = await acquireLease({ store, name: 'waited', owner: 'a', ttlMs });
  const stop = new AbortController();
  const waiting = expect(
    acquireLease({ store, name: 'waited', owner: 'b', ttlMs, signal: stop.signal }),
  ).rejects.toThrow(/abort/i);
  stop.abort();
  await waiting;
  await lease.release();
});

test('a stale token writes nothing', async () => {
  const jobs = await openRecordStore<{ fence: number; state: string }>({ nats, bucket: 'fenced' });
  await jobs.create('job', { fence: 0, state: 'new' });
  await modifyFenced(jobs, 'job', 7, (job) => ({ ...job, state: 'by 7' }));
  await expect(
    modifyFenced(jobs, 'job', 6, (job) => ({ ...job, state: 'by 6' })),
  ).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect((await jobs.get('job'))?.value).toEqual({ fence: 7, state: 'by 7' });
});
