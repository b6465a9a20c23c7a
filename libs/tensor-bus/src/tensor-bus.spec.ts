import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLane, startNatsServer, type Lane, type NatsServer } from '@emloc/service-kit';

import {
  createInProcessTensorBus,
  createNatsTensorBus,
  memorySource,
  type BusSettings,
  type IncomingLayer,
  type OutgoingLayer,
  type TensorBus,
} from './index.js';
import { createFaultyLane, mulberry32 } from './testing/faulty-lane.js';

const storeDir = mkdtempSync(join(tmpdir(), 'emloc-bus-'));
const quick: Partial<BusSettings> = {
  retryMs: 20,
  maxRetryMs: 200,
  silenceTimeoutMs: 3000,
  chunkBytes: 64 * 1024,
  windowChunks: 8,
};
let server: NatsServer;
const lanes: Lane[] = [];
const buses: TensorBus[] = [];

beforeAll(async () => {
  server = await startNatsServer({ storeDir });
});
afterEach(async () => {
  for (const bus of buses.splice(0)) await bus.close();
  for (const lane of lanes.splice(0)) lane.close();
});
afterAll(async () => {
  await server.stop();
  rmSync(storeDir, { recursive: true, force: true });
});

async function newLane(url = server.url): Promise<Lane> {
  const lane = await openLane({ servers: [url] });
  lanes.push(lane);
  return lane;
}

function busOn(lane: Lane, settings: Partial<BusSettings> = {}): TensorBus {
  const bus = createNatsTensorBus({ lane, ...quick, ...settings });
  buses.push(bus);
  return bus;
}

function randomBytes(byteLength: number, seed: number): Uint8Array {
  const random = mulberry32(seed);
  const words = new Uint32Array(Math.ceil(byteLength / 4));
  for (let index = 0; index < words.length; index++) words[index] = random() * 2 ** 32;
  return new Uint8Array(words.buffer, 0, byteLength);
}

function layerOf(
  layer: number,
  sizes: readonly number[],
  channel = 'job-1.factors',
): OutgoingLayer & { bytes: Uint8Array[] } {
  const bytes = sizes.map((size, index) => randomBytes(size, 100 * layer + index));
  return {
    channel,
    layer,
    bytes,
    attributes: { token: String(layer) },
    tensors: bytes.map((data, index) =>
      memorySource({ name: `t${index}`, dtype: 'float32', shape: [data.length / 4] }, data),
    ),
  };
}

async function first(layers: AsyncIterableIterator<IncomingLayer>): Promise<IncomingLayer> {
  const { value } = (await layers.next()) as IteratorResult<IncomingLayer, undefined>;
  if (!value) throw new Error('no layer came');
  return value;
}

function expectSame(actual: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  expect(actual.map(({ byteLength }) => byteLength)).toEqual(
    expected.map(({ byteLength }) => byteLength),
  );
  for (const [index, bytes] of expected.entries())
    expect(Buffer.compare(actual[index] ?? Buffer.alloc(0), bytes)).toBe(0);
}

const kinds: [string, () => Promise<[TensorBus, TensorBus]>][] = [
  [
    'in process',
    () => {
      const bus = createInProcessTensorBus();
      buses.push(bus);
      return Promise.resolve([bus, bus]);
    },
  ],
  ['core NATS', async () => [busOn(await newLane()), busOn(await newLane())]],
];

describe.each(kinds)('tensor bus %s', (_name, pair) => {
  test('delivers header, attributes and bytes of layers in order, odd and empty tensors included', async () => {
    const [sender, receiver] = await pair();
    const sent = [layerOf(0, [10, 0, 300_001, 4]), layerOf(1, []), layerOf(2, [65_536, 65_536])];
    const layers = receiver.receive('job-1.factors');
    const sending = Promise.all(sent.map((layer) => sender.send(layer)));
    for (const expected of sent) {
      const layer = await first(layers);
      expect([
        layer.layer,
        layer.attributes,
        layer.tensors.map(({ name, dtype, shape }) => [name, dtype, shape]),
      ]).toEqual([
        expected.layer,
        expected.attributes,
        expected.tensors.map(({ name, dtype, shape }) => [name, dtype, shape]),
      ]);
      expectSame(await layer.toMemory(), expected.bytes);
    }
    await sending;
  });

  test('waits for a receiver that comes later', async () => {
    const [sender, receiver] = await pair();
    const sent = layerOf(3, [100_000]);
    const sending = sender.send(sent);
    await sleep(100);
    expectSame(await (await first(receiver.receive(sent.channel))).toMemory(), sent.bytes);
    await sending;
  });

  test('gives each layer to one receiver of a channel', async () => {
    const [sender, receiver] = await pair();
    const seen: number[] = [];
    const consume = async (layers: AsyncIterableIterator<IncomingLayer>): Promise<void> => {
      for await (const layer of layers) {
        await layer.toMemory();
        seen.push(layer.layer);
      }
    };
    const stop = new AbortController();
    const consumers = [
      consume(receiver.receive('shared', { group: 'g', signal: stop.signal })),
      consume(sender.receive('shared', { group: 'g', signal: stop.signal })),
    ];
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => sender.send(layerOf(index, [1000], 'shared'))),
    );
    stop.abort();
    await Promise.all(consumers);
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test('tells the sender what a sink threw', async () => {
    const [sender, receiver] = await pair();
    const sending = expect(sender.send(layerOf(0, [200_000]))).rejects.toMatchObject({
      code: 'TENSOR_BUS_REJECTED',
      message: expect.stringContaining('disk full'),
    });
    const layer = await first(receiver.receive('job-1.factors'));
    await expect(
      layer.read(() => ({
        write: () => {
          throw new Error('disk full');
        },
      })),
    ).rejects.toThrow('disk full');
    await sending;
  });

  test('rejects a layer that the receiver passes over', async () => {
    const [sender, receiver] = await pair();
    const layers = receiver.receive('job-1.factors');
    const sending = expect(sender.send(layerOf(0, [10]))).rejects.toMatchObject({
      code: 'TENSOR_BUS_REJECTED',
    });
    await first(layers);
    const next = layers.next();
    await sending;
    await layers.return?.();
    await next;
  });

  test('stops at an abort on either side', async () => {
    const [sender, receiver] = await pair();
    const stop = new AbortController();
    const sending = expect(
      sender.send(layerOf(0, [3_000_000]), { signal: stop.signal }),
    ).rejects.toMatchObject({ code: 'TENSOR_BUS_ABORTED' });
    const layer = await first(receiver.receive('job-1.factors'));
    const reading = expect(layer.read(() => ({ write: () => sleep(100) }))).rejects.toMatchObject({
      code: 'TENSOR_BUS_ABORTED',
    });
    await sleep(50);
    stop.abort();
    await sending;
    await reading;
  });

  test('refuses names that would reach other subjects', async () => {
    const [sender, receiver] = await pair();
    await expect(sender.send(layerOf(0, [1], 'a.*'))).rejects.toMatchObject({
      code: 'TENSOR_BUS_INVALID',
    });
    expect(() => receiver.receive('>')).toThrow(/not a channel/);
  });

  test('fails what is in flight when it closes', async () => {
    const [sender] = await pair();
    const sending = expect(sender.send(layerOf(0, [10], 'nobody'))).rejects.toMatchObject({
      code: 'TENSOR_BUS_CLOSED',
    });
    await sleep(20);
    await sender.close();
    await sending;
  });
});

describe('core NATS path under faults', () => {
  test.each([
    ['lost', { drop: 0.2 }],
    ['doubled', { duplicate: 0.3 }],
    ['damaged', { corrupt: 0.2 }],
    ['out of order', { reorder: 0.3 }],
    ['all of it', { drop: 0.1, duplicate: 0.1, corrupt: 0.1, reorder: 0.1 }],
  ])('delivers the same bytes when messages of both sides are %s', async (_name, faults) => {
    for (const seed of [1, 2]) {
      const lane = createFaultyLane(await newLane(), { seed, ...faults });
      const [sender, receiver] = [
        busOn(lane, { chunkBytes: 16 * 1024 }),
        busOn(createFaultyLane(await newLane(), { seed: seed + 50, ...faults })),
      ];
      const sent = layerOf(seed, [700_001, 33], `faults-${seed}`);
      const sending = sender.send(sent);
      expectSame(await (await first(receiver.receive(sent.channel))).toMemory(), sent.bytes);
      await sending;
      expect(lane.faultCount).toBeGreaterThan(3);
    }
  });

  test.each([1, 2, 3])(
    'survives kill -9 and restart of the server in the middle of a layer (seed %i)',
    async (seed) => {
      const [sender, receiver] = [busOn(await newLane()), busOn(await newLane())];
      const sent = layerOf(seed, [6_000_000], 'killed');
      const killAt = Math.floor(mulberry32(seed)() * 80);
      const sending = sender.send(sent);
      const layer = await first(receiver.receive('killed'));
      const target = new Uint8Array(6_000_000);
      let writes = 0;
      let restarted: Promise<void> | undefined;
      await layer.read(() => ({
        write: async (offset, bytes) => {
          target.set(bytes, offset);
          if (writes++ === killAt) restarted = server.kill().then(() => server.restart());
          await sleep(1);
        },
      }));
      await sending;
      await restarted;
      expect(restarted).toBeDefined();
      expectSame([target], sent.bytes);
    },
  );

  test('survives connections that are cut', async () => {
    const proxy = await startProxy(server.port);
    const [sender, receiver] = [busOn(await newLane(proxy.url)), busOn(await newLane())];
    const sent = layerOf(1, [4_000_000], 'cut');
    const sending = sender.send(sent);
    const layer = await first(receiver.receive('cut'));
    const target = new Uint8Array(4_000_000);
    let writes = 0;
    await layer.read(() => ({
      write: async (offset, bytes) => {
        if (++writes % 20 === 0) proxy.cut();
        await sleep(1);
        target.set(bytes, offset);
      },
    }));
    await sending;
    proxy.close();
    expectSame([target], sent.bytes);
  });

  test('sends nothing twice to a slow receiver, and never holds more than the window', async () => {
    let repeated = 0;
    let read = 0;
    let written = 0;
    let furthest = 0;
    const sender = busOn(await newLane(), {
      observer: {
        retransmitted: (chunks) => {
          repeated += chunks;
        },
      },
    });
    const receiver = busOn(await newLane(), { silenceTimeoutMs: 500 });
    const chunk = 64 * 1024;
    const byteLength = 40 * chunk;
    const sending = sender.send({
      channel: 'slow',
      layer: 0,
      tensors: [
        {
          name: 't',
          dtype: 'float32',
          shape: [byteLength / 4],
          byteLength,
          read: (offset, target) => {
            read = offset + target.length;
            furthest = Math.max(furthest, read - written);
          },
        },
      ],
    });
    const layer = await first(receiver.receive('slow'));
    let turn = Promise.resolve();
    await layer.read(() => ({
      write: (_, bytes) => {
        turn = turn
          .then(() => sleep(25))
          .then(() => {
            written += bytes.length;
          });
        return turn;
      },
    }));
    await sending;
    expect(repeated).toBe(0);
    expect(furthest).toBeLessThanOrEqual(9 * chunk);
  });

  test('gives up on a receiver that dies, and on a sender that dies', async () => {
    const [sender, receiver] = [
      busOn(await newLane(), { silenceTimeoutMs: 400 }),
      busOn(await newLane(), { silenceTimeoutMs: 400 }),
    ];
    const sending = expect(sender.send(layerOf(0, [1_000_000], 'dies'))).rejects.toMatchObject({
      code: 'TENSOR_BUS_STALLED',
    });
    const layer = await first(receiver.receive('dies'));
    const reading = expect(layer.read(() => ({ write: () => sleep(5) }))).rejects.toMatchObject({
      code: 'TENSOR_BUS_STALLED',
    });
    lanes.at(-1)?.close();
    await sending;
    await reading;
  });

  test('says so when nobody receives', async () => {
    const sender = busOn(await newLane(), { receiverTimeoutMs: 200 });
    await expect(sender.send(layerOf(0, [10], 'empty'))).rejects.toMatchObject({
      code: 'TENSOR_BUS_NO_RECEIVER',
    });
  });
});

async function startProxy(
  targetPort: number,
): Promise<{ url: string; cut(): void; close(): void }> {
  const sockets = new Set<Socket>();
  const proxy: Server = createServer((inner) => {
    const outer = connect({ port: targetPort, host: '127.0.0.1' });
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(socket);
      socket
        .on('error', () => other.destroy())
        .on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve);
  });
  const address = proxy.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    cut,
    close: () => {
      cut();
      proxy.close();
    },
  };
}
