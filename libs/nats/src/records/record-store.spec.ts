import { jetstreamManager } from '@nats-io/jetstream';

import { startNatsHarness, type NatsHarness } from '../testing/nats-harness.js';
import { openRecordStore, type RecordStore } from './record-store.js';

interface Counter {
  readonly count: number;
}

let harness: NatsHarness;
let store: RecordStore<Counter>;
beforeAll(async () => {
  harness = await startNatsHarness();
  store = await openRecordStore<Counter>({ nats: await harness.connect(), bucket: 'jobs' });
});
afterAll(() => harness.stop());

test('refuses to create twice and to update an old revision', async () => {
  const first = await store.create('a', { count: 1 });
  await expect(store.create('a', { count: 2 })).rejects.toMatchObject({ code: 'RECORD_EXISTS' });
  const second = await store.update('a', { count: 2 }, first.revision);
  await expect(store.update('a', { count: 3 }, first.revision)).rejects.toMatchObject({
    code: 'RECORD_CONFLICT',
  });
  expect(await store.get('a')).toEqual({
    key: 'a',
    value: { count: 2 },
    revision: second.revision,
  });
});

test('loses no change when many modify one record', async () => {
  await store.create('counter', { count: 0 });
  await Promise.all(
    Array.from({ length: 20 }, () =>
      store.modify('counter', ({ count }) => ({ count: count + 1 })),
    ),
  );
  expect((await store.get('counter'))?.value).toEqual({ count: 20 });
});

test('creates again after a deletion, with a larger revision, and refuses to delete an old one', async () => {
  const first = await store.create('gone', { count: 1 });
  await store.delete('gone', first.revision);
  expect(await store.get('gone')).toBeUndefined();
  const again = await store.create('gone', { count: 2 });
  expect(again.revision).toBeGreaterThan(first.revision);
  await expect(store.delete('gone', first.revision)).rejects.toMatchObject({
    code: 'RECORD_CONFLICT',
  });
});

test('lists by pattern, without what is deleted', async () => {
  for (const key of ['list.b', 'list.a', 'list.c', 'other.a'])
    await store.create(key, { count: 0 });
  await store.delete('list.c');
  expect((await store.list('list.*')).map(({ key }) => key)).toEqual(['list.a', 'list.b']);
});

test('discards by pattern without a trace, also of what was deleted before', async () => {
  const own = await openRecordStore<Counter>({
    nats: await harness.connect(),
    bucket: 'discarded',
  });
  for (const key of ['gone.a', 'gone.b', 'kept.a']) await own.create(key, { count: 0 });
  const { revision } = await own.create('gone.c', { count: 0 });
  await own.delete('gone.b');
  await own.discard('gone.*');
  await own.discard('never.*');
  expect((await own.list()).map(({ key }) => key)).toEqual(['kept.a']);
  const manager = await jetstreamManager(await harness.connect());
  expect((await manager.streams.info('KV_discarded')).state.messages).toBe(1);
  expect((await own.create('gone.a', { count: 1 })).revision).toBeGreaterThan(revision);
});

test('lists while keys change', async () => {
  const keys = Array.from({ length: 40 }, (_, index) => `busy.${index}`);
  await Promise.all(keys.map((key) => store.create(key, { count: 0 })));
  const stop = new AbortController();
  const changing = Promise.all(
    keys.slice(-5).map(async (key) => {
      while (!stop.signal.aborted) await store.modify(key, ({ count }) => ({ count: count + 1 }));
    }),
  );
  let longestMs = 0;
  for (let round = 0; round < 20; round++) {
    const startMs = performance.now();
    expect((await store.list('busy.*')).length).toBe(40);
    longestMs = Math.max(longestMs, performance.now() - startMs);
  }
  stop.abort();
  await changing;
  // A list that waited for an end that never came took 15 s.
  expect(longestMs).toBeLessThan(14_000);
});

test('watches what is there and what changes until it is stopped', async () => {
  await store.create('watch.a', { count: 1 });
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const change of store.watch('watch.*', stop.signal)) {
      seen.push(`${change.kind} ${change.key}`);
      if (seen.length === 1) await store.create('watch.b', { count: 2 });
      if (seen.length === 2) await store.delete('watch.a');
      if (seen.length === 3) stop.abort();
    }
  })();
  await watching;
  expect(seen).toEqual(['put watch.a', 'put watch.b', 'delete watch.a']);
});

test('keeps its records when the server is killed, and waits for it', async () => {
  await store.create('kept', { count: 7 });
  await harness.server.kill();
  const update = store.modify('kept', ({ count }) => ({ count: count + 1 }));
  await harness.server.restart();
  expect((await update).value).toEqual({ count: 8 });
});
