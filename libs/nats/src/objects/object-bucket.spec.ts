import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takes, until } from '@emloc/time/testing';
import { jetstreamManager } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';

import { connectNats } from '../connection/access.js';
import type { Lane } from '../connection/lane.js';
import { openLane } from '../connection/socket-lane.js';
import { startNatsServer, type NatsServer } from '../testing/server.js';
import { rangeSource, streamSource } from './chunk-sources.js';
import type { ObjectBucket } from './object-bucket.js';
import { openObjectBucket } from './open-object-bucket.js';

const storeDir = mkdtempSync(join(tmpdir(), 'emloc-objects-'));
let server: NatsServer;
let nats: NatsConnection;
let lane: Lane;
let bucket: ObjectBucket;

beforeAll(async () => {
  server = await startNatsServer({ storeDir });
  nats = await connectNats({ servers: [server.url] });
  lane = await openLane({ servers: [server.url] });
  bucket = await openObjectBucket({
    nats,
    lane,
    bucket: 'artifacts',
    chunkBytes: 64 * 1024,
    stallTimeoutMs: 8000,
  });
});
afterAll(async () => {
  lane.close();
  await nats.close();
  await server.stop();
  rmSync(storeDir, { recursive: true, force: true });
});

function pattern(byteLength: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(byteLength);
  for (let index = 0; index < byteLength; index++)
    bytes[index] = (index * 31 + seed * 17 + (index >> 8)) & 255;
  return bytes;
}

const sourceOf = (bytes: Buffer) =>
  rangeSource(bytes.length, (offset, target) =>
    target.set(bytes.subarray(offset, offset + target.length)),
  );

async function read(name: string, from = bucket): Promise<Buffer> {
  const parts: Buffer[] = [];
  await from.get(name, {
    write: (_, bytes) => {
      parts.push(Buffer.from(bytes));
    },
  });
  return Buffer.concat(parts);
}

test.each([0, 1, 65_536, 300_001])('gives back the %i bytes that were put', async (byteLength) => {
  const bytes = pattern(byteLength, 1);
  const stored = await bucket.put('a b/ü', sourceOf(bytes), { metadata: { kind: 'adapter' } });
  expect(stored).toMatchObject({ byteLength, metadata: { kind: 'adapter' } });
  expect((await read('a b/ü')).equals(bytes)).toBe(true);
});

async function readFrom(name: string, offsetBytes: number, from = bucket): Promise<Buffer> {
  const parts: Buffer[] = [];
  let position = offsetBytes;
  await from.get(
    name,
    {
      write: (offset, bytes) => {
        expect(offset).toBe(position);
        position += bytes.length;
        parts.push(Buffer.from(bytes));
      },
    },
    { offsetBytes },
  );
  return Buffer.concat(parts);
}

/** Two objects whose chunks alternate in the stream. */
async function putTogether(names: readonly [string, string], bytes: Buffer): Promise<void> {
  await Promise.all(
    names.map((name) =>
      bucket.put(
        name,
        rangeSource(bytes.length, async (offset, target) => {
          await takes(1);
          target.set(bytes.subarray(offset, offset + target.length));
        }),
      ),
    ),
  );
}

test('gives the bytes from any offset on, also when the chunks lie between those of others', async () => {
  const chunk = 64 * 1024;
  const bytes = pattern(chunk * 9 + 5, 11);
  await putTogether(['one', 'other'], bytes);
  for (const name of ['one', 'other']) {
    for (const offset of [
      0,
      1,
      chunk - 1,
      chunk,
      chunk + 1,
      chunk * 5 + 7,
      chunk * 9 - 1,
      chunk * 9,
      bytes.length - 1,
      bytes.length,
    ]) {
      expect((await readFrom(name, offset)).equals(bytes.subarray(offset))).toBe(true);
    }
    await expect(readFrom(name, bytes.length + 1)).rejects.toMatchObject({
      code: 'OBJECT_OFFSET_OUT_OF_RANGE',
    });
    await expect(readFrom(name, -1)).rejects.toMatchObject({ code: 'OBJECT_OFFSET_OUT_OF_RANGE' });
  }
  // Its description lies far behind its chunks now.
  await bucket.touch('one');
  expect((await readFrom('one', chunk * 5 + 7)).equals(bytes.subarray(chunk * 5 + 7))).toBe(true);
});

test('moves only the chunks from the offset on', async () => {
  const chunk = 64 * 1024;
  const bytes = pattern(chunk * 20 + 100, 12);
  await bucket.put('long', sourceOf(bytes));
  const before = nats.stats().inBytes;
  const { counted, moved } = await countingBucket();
  await readFrom('long', bytes.length - 200, counted);
  expect(moved.stored).toBeGreaterThan(200);
  expect(moved.stored + nats.stats().inBytes - before).toBeLessThan(2 * chunk);
  await readFrom('long', 0, counted);
  expect(moved.stored).toBeGreaterThan(bytes.length);
});

/** The bucket, counting the bytes that it reads from its store. */
async function countingBucket(): Promise<{ counted: ObjectBucket; moved: { stored: number } }> {
  const moved = { stored: 0 };
  const counting: Lane = {
    ...laneMethods(lane),
    subscribe: (subject, handler) =>
      lane.subscribe(subject, (message) => {
        moved.stored += message.payload.length;
        handler(message);
      }),
  };
  return {
    counted: await openObjectBucket({
      nats,
      lane: counting,
      bucket: 'artifacts',
      chunkBytes: 64 * 1024,
      stallTimeoutMs: 8000,
    }),
    moved,
  };
}

function laneMethods(of: Lane): Lane {
  return {
    maxPayloadBytes: of.maxPayloadBytes,
    connected: of.connected,
    inbox: of.inbox,
    publish: (...given) => of.publish(...given),
    subscribe: (...given) => of.subscribe(...given),
    onReconnect: (listener) => of.onReconnect(listener),
    close: () => undefined,
  };
}

test('says from an offset on too that chunks are missing, or are not those that were stored', async () => {
  const stored = await bucket.put('holed', sourceOf(pattern(200_000, 13)));
  await bucket.discard(stored.id);
  await expect(readFrom('holed', 100_000)).rejects.toMatchObject({
    code: 'OBJECT_CORRUPT',
    message: expect.stringContaining('3 of its 4 chunks'),
  });
  for (let chunk = 0; chunk < 4; chunk++)
    await nats.request(`$O.artifacts.C.${stored.id}`, new Uint8Array(50_000));
  await expect(readFrom('holed', 100_000)).rejects.toMatchObject({ code: 'OBJECT_CORRUPT' });
});

test('reads what the client library wrote from an offset on', async () => {
  const bytes = pattern(300_000, 14);
  await (await new Objm(nats).open('artifacts')).putBlob({ name: 'foreign' }, bytes);
  expect((await readFrom('foreign', 290_000)).equals(bytes.subarray(290_000))).toBe(true);
});

test('takes a stream of pieces of any size', async () => {
  const bytes = pattern(200_000, 2);
  await bucket.put(
    'streamed',
    streamSource([bytes.subarray(0, 3), bytes.subarray(3, 150_000), bytes.subarray(150_000)]),
  );
  expect((await read('streamed')).equals(bytes)).toBe(true);
});

test('writes and reads what the client library reads and writes', async () => {
  const bytes = pattern(150_000, 3);
  const store = await new Objm(nats).open('artifacts');
  await bucket.put('ours', sourceOf(bytes));
  expect(Buffer.from((await store.getBlob('ours')) ?? []).equals(bytes)).toBe(true);
  await store.putBlob({ name: 'theirs' }, bytes);
  expect((await read('theirs')).equals(bytes)).toBe(true);
});

test('refuses a digest that it does not know', async () => {
  const { id } = await bucket.put('known', sourceOf(pattern(10, 15)));
  const meta = `$O.artifacts.M.${Buffer.from('odd').toString('base64url')}`;
  await nats.request(
    meta,
    JSON.stringify({ name: 'odd', nuid: id, size: 1, chunks: 1, digest: 'MD5=abc' }),
  );
  await expect(read('odd')).rejects.toMatchObject({
    code: 'OBJECT_CORRUPT',
    message: expect.stringContaining('MD5'),
  });
});

test('leaves no chunk behind when an object is replaced or deleted', async () => {
  const fresh = await openObjectBucket({ nats, lane, bucket: 'clean', chunkBytes: 64 * 1024 });
  await fresh.put('x', sourceOf(pattern(200_000, 4)));
  await fresh.put('x', sourceOf(pattern(100, 5)));
  const messages = async (): Promise<number> =>
    (await (await jetstreamManager(nats)).streams.info('OBJ_clean')).state.messages;
  expect(await messages()).toBe(2);
  expect(await fresh.delete('x')).toBe(true);
  expect(await messages()).toBe(0);
  expect(await fresh.delete('x')).toBe(false);
  await expect(fresh.get('x', { write: () => undefined })).rejects.toMatchObject({
    code: 'OBJECT_NOT_FOUND',
  });
});

test('lists objects by what the stream says, and leaves no consumer to the server', async () => {
  const fresh = await openObjectBucket({ nats, lane, bucket: 'listed', chunkBytes: 64 * 1024 });
  expect([await fresh.names(), await fresh.list()]).toEqual([[], []]);
  const names = ['a/b', 'Ünïcode > * .', ...Array.from({ length: 70 }, (_, index) => `n${index}`)];
  for (const [index, name] of names.entries()) await fresh.put(name, sourceOf(pattern(index, 1)));
  const deletedByOthers = await new Objm(nats).open('listed');
  await deletedByOthers.delete('n7');
  await fresh.delete('n8');
  const left = names.filter((name) => name !== 'n8').sort();
  expect((await fresh.names()).sort()).toEqual(left);
  const listed = await fresh.list();
  expect(listed.map(({ name }) => name).sort()).toEqual(left.filter((name) => name !== 'n7'));
  expect(listed).toContainEqual(await fresh.info('Ünïcode > * .'));
  const manager = await jetstreamManager(nats);
  expect(await manager.consumers.list('OBJ_listed').next()).toEqual([]);
});

test('sweeps the chunks of uploads that died, and no others', async () => {
  const fresh = await openObjectBucket({ nats, lane, bucket: 'sweep', chunkBytes: 64 * 1024 });
  await fresh.put('kept', sourceOf(pattern(200_000, 6)));
  await nats.request('$O.sweep.C.dead', new Uint8Array(10));
  expect(await fresh.sweepOrphans(60_000)).toBe(0);
  expect(await fresh.sweepOrphans(0)).toBe(1);
  expect((await read('kept', fresh)).equals(pattern(200_000, 6))).toBe(true);
});

test('fails on missing and on foreign bytes instead of hanging', async () => {
  const stored = await bucket.put('damaged', sourceOf(pattern(200_000, 7)));
  const manager = await jetstreamManager(nats);
  await bucket.discard(stored.id);
  await expect(read('damaged')).rejects.toMatchObject({
    code: 'OBJECT_CORRUPT',
    message: expect.stringContaining('0 of its 4 chunks'),
  });
  for (let chunk = 0; chunk < 4; chunk++)
    await nats.request(`$O.artifacts.C.${stored.id}`, new Uint8Array(50_000));
  await expect(read('damaged')).rejects.toMatchObject({
    code: 'OBJECT_CORRUPT',
    message: expect.stringContaining('digest'),
  });
  expect((await manager.consumers.list('OBJ_artifacts').next()).length).toBeLessThan(5);
});

/** The bucket over a lane whose first requests for a consumer are lost, so many of them. */
async function forgetfulBucket(lostRequests: number): Promise<{
  bucket: ObjectBucket;
  requests: () => number;
}> {
  let requests = 0;
  const forgetful: Lane = {
    ...laneMethods(lane),
    publish: (subject, parts, options) =>
      subject.startsWith('$JS.API.CONSUMER.CREATE.') && requests++ < lostRequests
        ? true
        : lane.publish(subject, parts, options),
  };
  const options = { nats, lane: forgetful, bucket: 'artifacts', chunkBytes: 64 * 1024 };
  return {
    bucket: await openObjectBucket({ ...options, stallTimeoutMs: 8000 }),
    requests: () => requests,
  };
}

test('opens while the server is away for a moment', async () => {
  await server.kill();
  const opened = openObjectBucket({ nats, lane, bucket: 'patient', chunkBytes: 64 * 1024 });
  await server.restart();
  await (await opened).put('one', sourceOf(pattern(10, 3)));
  expect((await read('one', await opened)).length).toBe(10);
});

test('gives up on chunks that never come', async () => {
  await bucket.put('never', sourceOf(pattern(10, 8)));
  const { bucket: deaf } = await forgetfulBucket(Infinity);
  await expect(
    deaf.get('never', { write: () => undefined }, { stallTimeoutMs: 300 }),
  ).rejects.toMatchObject({ code: 'OBJECT_STALLED' });
});

test('a reader whose first request is lost asks again', async () => {
  const bytes = pattern(1_500_000, 25);
  await bucket.put('forgotten', sourceOf(bytes));
  const { bucket: forgetful, requests } = await forgetfulBucket(1);
  expect((await read('forgotten', forgetful)).equals(bytes)).toBe(true);
  expect(requests()).toBeGreaterThan(1);
});

test('takes no more than its window ahead of a slow sink', async () => {
  const chunk = 64 * 1024;
  const bytes = pattern(3_000_000, 8);
  await bucket.put('slow', sourceOf(bytes));
  const { counted, moved } = await countingBucket();
  let taken = 0;
  await counted.get('slow', {
    write: async (offset, part) => {
      expect(Buffer.compare(part, bytes.subarray(offset, offset + part.length))).toBe(0);
      await takes(2);
      taken += part.length;
      expect(moved.stored).toBeLessThan(taken + 9 * chunk);
    },
  });
  expect(taken).toBe(bytes.length);
});

test('a read that is aborted ends with OBJECT_STALLED and its reason', async () => {
  await bucket.put('aborted', sourceOf(pattern(3_000_000, 16)));
  const stop = new AbortController();
  const reason = new Error('enough');
  const reading = bucket.get(
    'aborted',
    { write: () => stop.abort(reason) },
    { signal: stop.signal },
  );
  await expect(reading).rejects.toMatchObject({ code: 'OBJECT_STALLED', cause: reason });
});

test.each([3, 20])(
  'put and get survive kill -9 and restart of the server (at chunk %i)',
  async (killAt) => {
    const bytes = pattern(4_000_000, 9);
    let reads = 0;
    let restarted: Promise<void> | undefined;
    const source = rangeSource(bytes.length, async (offset, target) => {
      if (reads++ === killAt) restarted = server.kill().then(() => server.restart());
      await takes(1);
      target.set(bytes.subarray(offset, offset + target.length));
    });
    let resent = 0;
    await putUntilStored('survivor', source, {
      bytes,
      onResend: (chunks) => {
        resent += chunks;
      },
    });
    await restarted;
    let writes = 0;
    const target = Buffer.alloc(bytes.length);
    expect(resent).toBeGreaterThan(0);
    await bucket.get('survivor', {
      write: async (offset, part) => {
        if (writes++ === killAt) restarted = server.kill().then(() => server.restart());
        await takes(1);
        target.set(part, offset);
      },
    });
    await restarted;
    expect(target.equals(bytes)).toBe(true);
  },
);

/** A restart may store chunks out of order, which put says; the caller reads its source again. */
async function putUntilStored(
  name: string,
  source: Parameters<ObjectBucket['put']>[1],
  { bytes, onResend }: { bytes: Buffer; onResend: (chunks: number) => void },
): Promise<void> {
  try {
    await bucket.put(name, source, { onResend });
  } catch {
    await bucket.put(name, sourceOf(bytes));
  }
}

test('an object that was touched is not deleted by who saw it before', async () => {
  const bytes = pattern(100_000, 9);
  const stored = await bucket.put('touched', sourceOf(bytes));
  await until(() => Date.now() > Date.parse(stored.modified), 'another millisecond');
  const touched = await bucket.touch('touched');
  expect(touched).toEqual({ ...stored, modified: expect.any(String) });
  expect(touched?.modified).not.toBe(stored.modified);
  expect(await bucket.delete('touched', { modified: stored.modified })).toBe(false);
  expect((await read('touched')).equals(bytes)).toBe(true);
  await Promise.all(Array.from({ length: 5 }, () => bucket.touch('touched')));
  expect((await read('touched')).equals(bytes)).toBe(true);
  expect(
    await bucket.delete('touched', { modified: (await bucket.info('touched'))?.modified ?? '' }),
  ).toBe(true);
  expect(await bucket.touch('touched')).toBeUndefined();
  expect(await bucket.info('touched')).toBeUndefined();
});

test('touching and deleting at the same time leaves the whole object or nothing', async () => {
  const bytes = pattern(100_000, 10);
  for (let round = 0; round < 10; round += 1) {
    const { modified } = await bucket.put('raced', sourceOf(bytes));
    await Promise.all([
      bucket.touch('raced'),
      bucket.delete('raced', { modified }),
      bucket.touch('raced'),
    ]);
    if (await bucket.info('raced')) expect((await read('raced')).equals(bytes)).toBe(true);
  }
});
