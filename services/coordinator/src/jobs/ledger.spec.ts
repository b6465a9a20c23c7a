import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  connectNats,
  openNumberedLog,
  openRecordStore,
  type NatsConnection,
  type NumberedLog,
  type RecordStore,
} from '@emloc/nats';
import { startNatsServer, type NatsServer } from '@emloc/nats/testing';

import { openLedger, type LogEntry } from './ledger.js';
import { jobKey, type JobRecord } from './record.js';
import { newJobRecord, requestCancel, startJob, startStage } from './transitions.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-ledger-'));
let server: NatsServer;
let nats: NatsConnection;
let store: RecordStore<JobRecord>;
let log: NumberedLog<LogEntry>;

beforeAll(async () => {
  server = await startNatsServer({ storeDir: folder });
  nats = await connectNats({ servers: [server.url] });
  store = await openRecordStore<JobRecord>({ nats, bucket: 'jobs' });
  log = await openNumberedLog<LogEntry>({ nats, name: 'jobs' });
});
afterAll(async () => {
  await nats.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function newJob(id: string) {
  const job = {
    id,
    tenant: 'a b',
    requestHash: '',
    displayName: '',
    options: {},
    merge: null,
    isEmulated: true,
    modelKind: 'text' as const,
    spec: { bucket: '', key: '', revision: 0 },
  };
  await store.create(jobKey('a b', id), newJobRecord(job, new Date(0)));
  return { id, tenant: 'a b' };
}

const kindsOf = async (id: string): Promise<unknown[]> =>
  (await log.read(id, 0, 100)).map(
    ({ event }) => Object.keys(event.event as object).filter((key) => key !== 'time')[0],
  );

test('moves events of changes to the log, and others between them, in order', async () => {
  const job = await newJob('one');
  const ledger = await openLedger(job, { store, log, token: 1 });
  await Promise.all([
    ledger.change(startJob),
    ledger.append({ case: 'notice', value: { message: 'hi' } }),
    ledger.change(startStage('train')),
  ]);
  expect(await kindsOf('one')).toEqual([
    'stateChanged',
    'stateChanged',
    'notice',
    'stageStateChanged',
  ]);
  expect((await store.get(jobKey('a b', 'one')))?.value).toMatchObject({
    lastEventSequence: 4,
    token: 1,
    fence: 1,
  });
});

test('a leader that was deposed changes nothing and tells nothing', async () => {
  const job = await newJob('two');
  const old = await openLedger(job, { store, log, token: 1 });
  await old.change(startJob);
  const next = await openLedger(job, { store, log, token: 2 });
  await expect(old.change(startStage('train'))).rejects.toMatchObject({ code: 'LEASE_LOST' });
  await next.change(startStage('calibrate'));
  await expect(old.append({ case: 'notice', value: { message: 'late' } })).rejects.toMatchObject({
    code: 'LEASE_LOST',
  });
  expect(await kindsOf('two')).toEqual(['stateChanged', 'stateChanged', 'stageStateChanged']);
});

test('an append of the leader before, in the middle of the takeover, does not stop the next one', async () => {
  const job = await newJob('three');
  const old = await openLedger(job, { store, log, token: 1 });
  const next = await openLedger(job, { store, log, token: 2 });
  await old.append({ case: 'notice', value: { message: 'in the middle' } });
  await next.change(startJob);
  expect(await kindsOf('three')).toEqual(['stateChanged', 'notice', 'stateChanged']);
});

test('what was recorded and not told is told by whoever opens it next, once', async () => {
  const job = await newJob('four');
  await store.modify(jobKey('a b', 'four'), (record) => requestCancel(record, new Date()));
  expect(await kindsOf('four')).toEqual([]);
  for (const token of [1, 2]) await openLedger(job, { store, log, token });
  expect(await kindsOf('four')).toEqual(['stateChanged', 'stateChanged']);
});
