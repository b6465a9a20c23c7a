import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

import { connectNats } from '../connection/access.js';
import type { Lane } from '../connection/lane.js';
import { openLane } from '../connection/socket-lane.js';
import { openNumberedLog } from '../events/numbered-log.js';
import { rangeSource } from '../objects/chunk-sources.js';
import { openObjectBucket } from '../objects/open-object-bucket.js';
import { openWorkQueue } from '../queue/work-queue.js';
import { openRecordStore } from '../records/record-store.js';
import { startNatsServer, type NatsServer } from '../testing/server.js';
import { countsPurgedAsStored } from './purge-messages.js';

const MiB = 2 ** 20;
const maxStoreBytes = 4 * MiB;
const storeDir = mkdtempSync(join(tmpdir(), 'emloc-purge-'));
let server: NatsServer;
let nats: NatsConnection;
let lane: Lane;

beforeAll(async () => {
  server = await startNatsServer({ storeDir, maxStoreBytes });
  nats = await connectNats({ servers: [server.url] });
  lane = await openLane({ servers: [server.url] });
});
afterAll(async () => {
  lane.close();
  await nats.close();
  await server.stop();
  rmSync(storeDir, { recursive: true, force: true });
});

/** What the server takes for stored, and what is; consumers that are left. */
async function countedAndStored() {
  const manager = await jetstreamManager(nats);
  let [stored, consumers] = [0, 0];
  for await (const { state } of manager.streams.list()) {
    stored += state.bytes;
    consumers += state.consumer_count;
  }
  return { counted: (await manager.getAccountInfo()).storage, stored, consumers };
}

test('what was removed is not counted as stored: a small store takes any number of objects, one after the other', async () => {
  const bucket = await openObjectBucket({ nats, lane, bucket: 'parts', chunkBytes: MiB / 8 });
  for (let count = 0; count < 8; count += 1) {
    await bucket.put(
      `part ${count}`,
      rangeSource(MiB, (_, target) => void target.fill(count)),
    );
    await bucket.delete(`part ${count}`);
  }
  expect(await countedAndStored()).toEqual({ counted: 0, stored: 0, consumers: 0 });
});

test('nor are the events of a topic, and records', async () => {
  const [log, records] = await Promise.all([
    openNumberedLog<string>({ nats, name: 'kept' }),
    openRecordStore<string>({ nats, bucket: 'kept' }),
  ]);
  for (const name of ['goes', 'stays']) {
    const writer = await log.openWriter(name);
    for (const event of ['one', 'two', 'three']) await writer.append(event.repeat(1000));
    for (const key of ['one', 'two']) await records.create(`${name}.${key}`, key.repeat(1000));
  }
  const before = await countedAndStored();
  await log.delete('goes');
  await records.discard('goes.*');
  const after = await countedAndStored();
  expect(after.counted).toBe(after.stored);
  expect(after.stored).toBeLessThan(before.stored - 10_000);
  expect((await log.read('stays', 0, 9)).map(({ event }) => event.slice(0, 3))).toEqual([
    'one',
    'two',
    'thr',
  ]);
  expect((await records.list()).map(({ key }) => key)).toEqual(['stays.one', 'stays.two']);
});

test('nor is what was replaced or touched, also where it is another size each time', async () => {
  const bucket = await openObjectBucket({ nats, lane, bucket: 'replaced', chunkBytes: MiB / 8 });
  const put = (size: number): Promise<unknown> =>
    bucket.put(
      'one',
      rangeSource(size, (_, target) => void target.fill(1)),
      { metadata: { size: String(size) } },
    );
  await put(MiB / 2);
  for (let count = 1; count <= 8; count += 1) {
    await put(MiB / 4 + count);
    await bucket.touch('one');
  }
  const { counted, stored } = await countedAndStored();
  expect(counted).toBe(stored);
  expect(await bucket.list()).toMatchObject([{ name: 'one', byteLength: MiB / 4 + 8 }]);
  await bucket.get('one', { write: () => undefined });
});

test('nor are items that were taken out of a queue, whose workers go on with the others', async () => {
  const queue = await openWorkQueue<string, number>({ nats, name: 'kept', owner: 'worker' });
  const keys = ['goes.one', 'goes.two', 'stays.one', 'goes.three', 'stays.two'];
  for (const key of keys) await queue.add(key, key.repeat(1000));
  const taking = new AbortController();
  const items = queue.take(taking.signal);
  const first = await items.next();
  expect(first.value).toMatchObject({ key: 'goes.one' });
  const before = await countedAndStored();
  await queue.remove('goes.*');
  const after = await countedAndStored();
  expect(after.counted).toBe(after.stored);
  expect(after.stored).toBeLessThan(before.stored - 20_000);
  expect([...(await queue.states()).keys()]).toEqual(['stays.one', 'stays.two']);
  await expect(first.value?.release()).rejects.toMatchObject({ code: 'WORK_STALE' });
  for (const key of ['stays.one', 'stays.two']) {
    const { value } = await items.next();
    expect(value).toMatchObject({ key });
    await value?.complete(1);
  }
  taking.abort();
  await items.return?.();
  await queue.destroy();
  const { counted, stored } = await countedAndStored();
  expect(counted).toBe(stored);
});

test.each([
  ['2.9.10', true],
  ['2.9.25', true],
  ['2.10.0', false],
  ['2.11.16', false],
  ['3.0.0-beta', false],
  ['1.4.1', true],
  ['of its own', false],
  [undefined, false],
])('a server of version %s counts what was purged as stored: %s', (version, expected) => {
  expect(countsPurgedAsStored(version)).toBe(expected);
});
