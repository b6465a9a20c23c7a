import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connectNats,
  openLane,
  openObjectBucket,
  startNatsServer,
  type Lane,
  type NatsConnection,
  type NatsServer,
  type ObjectBucket,
} from '@emloc/service-kit';

import {
  createDurableTensorBus,
  createTensorStore,
  memorySource,
  type IncomingLayer,
  type TensorBus,
  type TensorSource,
} from '../index.js';
import { mulberry32 } from '../testing/faulty-lane.js';

const storeDir = mkdtempSync(join(tmpdir(), 'emloc-durable-'));
let server: NatsServer;
let nats: NatsConnection;
let lane: Lane;
let bucket: ObjectBucket;
let bus: TensorBus;

beforeAll(async () => {
  server = await startNatsServer({ storeDir });
  nats = await connectNats({ servers: [server.url] });
  lane = await openLane({ servers: [server.url] });
  bucket = await openObjectBucket({
    nats,
    lane,
    bucket: 'tensors',
    chunkBytes: 64 * 1024,
    stallTimeoutMs: 8000,
  });
  bus = await createDurableTensorBus({ nats, bucket, name: 'test', stallTimeoutMs: 8000 });
});
afterAll(async () => {
  await bus.close();
  lane.close();
  await nats.close();
  await server.stop();
  rmSync(storeDir, { recursive: true, force: true });
});

function bytesOf(byteLength: number, seed: number): Uint8Array {
  const random = mulberry32(seed);
  const words = new Uint32Array(Math.ceil(byteLength / 4));
  for (let index = 0; index < words.length; index++) words[index] = random() * 2 ** 32;
  return new Uint8Array(words.buffer, 0, byteLength);
}

const tensor = (name: string, bytes: Uint8Array): TensorSource =>
  memorySource({ name, dtype: 'bfloat16', shape: [bytes.length / 2] }, bytes);

async function first(layers: AsyncIterableIterator<IncomingLayer>): Promise<IncomingLayer> {
  const { value } = (await layers.next()) as IteratorResult<IncomingLayer, undefined>;
  if (!value) throw new Error('no layer came');
  return value;
}

test('send needs no receiver, and nothing is left when a receiver has read and closed', async () => {
  const parts = [bytesOf(200_001, 1), bytesOf(0, 2), bytesOf(70_000, 3)];
  await bus.send({
    channel: 'a.b',
    layer: 4,
    tensors: parts.map((bytes, index) => tensor(`t${index}`, bytes)),
    attributes: { rows: '12' },
  });
  const receiver = await createDurableTensorBus({ nats, bucket, name: 'test' });
  const layer = await first(receiver.receive('a.b'));
  expect([layer.layer, layer.attributes]).toEqual([4, { rows: '12' }]);
  for (const [index, bytes] of (await layer.toMemory()).entries())
    expect(Buffer.compare(bytes, parts[index] ?? bytes)).toBe(0);
  await receiver.close();
  expect(await bucket.list()).toEqual([]);
});

test('gives a layer again to a receiver whose sink failed', async () => {
  const bytes = bytesOf(100_000, 5);
  await bus.send({ channel: 'again', layer: 0, tensors: [tensor('t', bytes)] });
  const layers = bus.receive('again');
  await expect(
    (await first(layers)).read(() => ({
      write: () => {
        throw new Error('disk full');
      },
    })),
  ).rejects.toThrow('disk full');
  expect(
    Buffer.compare((await (await first(layers)).toMemory())[0] ?? bytes.subarray(1), bytes),
  ).toBe(0);
  await layers.return?.();
});

test.each([1, 2])(
  'a layer that is read while it is written survives kill -9 of the server (seed %i)',
  async (seed) => {
    const bytes = bytesOf(3_000_000, seed);
    const killAt = Math.floor(mulberry32(seed)() * 40);
    let reads = 0;
    let restarted: Promise<void> | undefined;
    const slow: TensorSource = {
      ...tensor('t', bytes),
      read: async (offset, target) => {
        if (reads++ === killAt) restarted = server.kill().then(() => server.restart());
        await sleep(2);
        target.set(bytes.subarray(offset, offset + target.length));
      },
    };
    const channel = `killed-${seed}`;
    const sending = bus
      .send({ channel, layer: 1, tensors: [slow] })
      .catch(() => bus.send({ channel, layer: 1, tensors: [tensor('t', bytes)] }));
    const layers = bus.receive(channel);
    const read = async (): Promise<Uint8Array | undefined> =>
      (await (await first(layers)).toMemory())[0];
    const received = await read().catch(read);
    await sending;
    await restarted;
    await layers.return?.();
    expect(Buffer.compare(received ?? new Uint8Array(0), bytes)).toBe(0);
  },
);

test('a store keeps tensors by key until they are deleted, and replaces them at once', async () => {
  const store = createTensorStore(bucket);
  await store.write('job-1/statistics/7', {
    tensors: [tensor('gram', bytesOf(90_000, 7))],
    attributes: { rows: '5' },
  });
  await store.write('job-1/statistics/7', {
    tensors: [tensor('gram', bytesOf(50_000, 8))],
    attributes: { rows: '6' },
  });
  const stored = await store.open('job-1/statistics/7');
  expect([stored?.attributes, stored?.tensors]).toEqual([
    { rows: '6' },
    [{ name: 'gram', dtype: 'bfloat16', shape: [25_000], byteLength: 50_000 }],
  ]);
  expect(
    Buffer.compare((await stored?.toMemory())?.[0] ?? new Uint8Array(0), bytesOf(50_000, 8)),
  ).toBe(0);
  expect(await store.list('job-1/')).toEqual(['job-1/statistics/7']);
  expect(await store.delete('job-1/statistics/7')).toBe(true);
  expect(await store.open('job-1/statistics/7')).toBeUndefined();
});
