import { FakeClock, until } from '@emloc/time/testing';
import { jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
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

/** Lets a holder's time pass up to its next heartbeat, and that reach the server. */
async function beat(clock: FakeClock, of: RecordStore<LeaseRecord>, name: string): Promise<void> {
  const revision = (await of.get(name))?.revision ?? 0;
  await clock.advance(ttlMs / 3);
  await until(async () => ((await of.get(name))?.revision ?? 0) > revision, `${name} is renewed`);
}

test('has one holder, who keeps it beyond its time by renewing', async () => {
  const clock = new FakeClock();
  const lease = await acquireLease({ store, name: 'leader', owner: 'a', ttlMs, clock });
  expect(await tryAcquireLease({ store, name: 'leader', owner: 'b', ttlMs })).toBeUndefined();
  for (let beats = 0; beats < 5; beats += 1) await beat(clock, store, 'leader');
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

/** What the server's own limit prevents: several messages of one key. */
async function storeWithSurplus(bucket: string): Promise<RecordStore<LeaseRecord>> {
  await new Kvm(nats).create(bucket, { history: 5, ttl: ttlMs });
  const broken = await openRecordStore<LeaseRecord>({ nats, bucket, ttlMs });
  const record = { owner: 'gone', holder: 'gone' };
  let { revision } = await broken.create('leader', record);
  for (let more = 0; more < 2; more += 1)
    ({ revision } = await broken.update('leader', record, revision));
  const manager = await jetstreamManager(nats);
  const { config } = await manager.streams.info(`KV_${bucket}`);
  expect(await broken.surplus()).toBe(2);
  return Object.assign(broken, {
    // The history that made this possible ends with what it has made.
    purge: async () => {
      await manager.streams.purge(config.name);
      await manager.streams.update(config.name, { ...config, max_msgs_per_subject: 1 });
    },
  });
}

test('a store whose server has lost count is emptied, told, and has one holder then', async () => {
  const broken = await storeWithSurplus('miscounted');
  const told: number[] = [];
  const clock = new FakeClock();
  const onMended = (surplus: number): void => void told.push(surplus);
  const options = { store: broken, name: 'leader', ttlMs, onMended };
  expect(await tryAcquireLease({ ...options, owner: 'a' })).toBeUndefined();
  const lease = await acquireLease({ ...options, owner: 'a', clock });
  expect(told).toEqual([2]);
  for (let beats = 0; beats < 3; beats += 1) await beat(clock, broken, 'leader');
  expect(lease.lost.aborted).toBe(false);
  expect(await tryAcquireLease({ ...options, owner: 'b' })).toBeUndefined();
  await lease.release();
});

test('of two holders, which a server that has lost count makes, one loses it and harms nothing', async () => {
  const options = { store, name: 'twice', ttlMs };
  const jobs = await openRecordStore<{ fence: number; by: string }>({ nats, bucket: 'twice' });
  await jobs.create('job', { fence: 0, by: 'nobody' });
  const write = ({ token, owner }: { token: number; owner: string }) =>
    modifyFenced(jobs, 'job', token, (job) => ({ ...job, by: owner }));
  const first = await acquireLease({ ...options, owner: 'first' });
  await store.purge();
  const second = await acquireLease({ ...options, owner: 'second' });
  expect([first.lost.aborted, second.token > first.token]).toEqual([false, true]);
  await write(first);
  await write(second);
  await expect(write(first)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect((await jobs.get('job'))?.value.by).toBe('second');
  await new Promise((resolve) => {
    first.lost.addEventListener('abort', resolve, { once: true });
  });
  expect(second.lost.aborted).toBe(false);
  await second.release();
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
