import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTensorStore, type TensorSource, type TensorStore } from '@emloc/job-storage';
import { connectNats, openLane, openObjectBucket } from '@emloc/nats';

import type { BlockSink, BlockSource } from './bus-blocks.js';
import { largeWindowBytes, receiveGrpc, sendGrpc } from './bus-grpc.js';
import type { BusPathName, BusTask } from './bus-task.js';

/** One way to move a tensor of `totalBytes` from one process to another. */
export interface BusPath {
  readonly title: string;
  /**
   * Gets ready; `finished` resolves when every byte is in the sink, with the seconds of a reading
   * that is counted apart.
   */
  receive(
    task: BusTask,
    sink: BlockSink,
  ): Promise<{ address: string; finished: Promise<number | void> }>;
  /**
   * Gets ready to send to a receiver's address; the returned function sends, and is what is timed.
   */
  prepare(
    task: BusTask,
    address: string,
  ): Promise<{ send(source: BlockSource): Promise<void>; close(): Promise<void> }>;
}

const key = 'bench';
const chunkBytes = 1024 * 1024;

export const busPaths: Readonly<Record<BusPathName, BusPath>> = {
  tcp: { title: 'raw TCP socket, 1 MiB writes', receive: receiveTcp, prepare: prepareTcp },
  grpc: {
    title: 'gRPC server stream, 1 MiB messages',
    receive: (task, sink) => receiveGrpc(task, sink),
    prepare: sendGrpc,
  },
  'grpc-window': {
    title: 'the same with a window of 1 MiB',
    receive: (task, sink) => receiveGrpc(task, sink, largeWindowBytes),
    prepare: sendGrpc,
  },
  store: { title: 'tensor store', receive: receiveStored, prepare: prepareStored },
};

function receiveTcp(
  { totalBytes }: BusTask,
  sink: BlockSink,
): Promise<{ address: string; finished: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    const finished = new Promise<void>((done) => {
      server.once('connection', (socket: Socket) => {
        let received = 0;
        socket.on('data', (bytes: Buffer) => {
          sink.write(received, bytes);
          received += bytes.length;
          if (received < totalBytes) return;
          socket.end('.');
          server.close();
          done();
        });
      });
    });
    server
      .once('error', reject)
      .listen(0, '127.0.0.1', () =>
        resolve({ address: String((server.address() as AddressInfo).port), finished }),
      );
  });
}

async function prepareTcp(
  { totalBytes }: BusTask,
  address: string,
): ReturnType<BusPath['prepare']> {
  const socket = connectTcp({ port: Number(address), host: '127.0.0.1' });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject).once('connect', resolve);
  });
  const send = async (source: BlockSource): Promise<void> => {
    // As many buffers as the socket may hold back.
    const buffers: Buffer[] = Array.from({ length: 4 }, () => Buffer.allocUnsafeSlow(chunkBytes));
    const free: (() => void)[] = [];
    const confirmed = new Promise<void>((resolve, reject) => {
      socket.once('data', () => resolve()).once('error', reject);
    });
    for (let at = 0; at < totalBytes; at += chunkBytes) {
      const buffer =
        buffers.pop() ??
        (await new Promise<Buffer>((resolve) => {
          free.push(() => resolve(buffers.pop() as Buffer));
        }));
      const part = buffer.subarray(0, Math.min(chunkBytes, totalBytes - at));
      source.read(at, part);
      socket.write(part, () => {
        buffers.push(buffer);
        free.shift()?.();
      });
    }
    await confirmed;
  };
  return {
    send,
    close: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
}

async function openStore({
  natsUrl,
}: BusTask): Promise<{ store: TensorStore; close(): Promise<void> }> {
  const access = { servers: [natsUrl] };
  const [nats, lane] = [await connectNats(access), await openLane(access)];
  const store = createTensorStore(await openObjectBucket({ nats, lane, bucket: 'bench' }));
  return {
    store,
    close: async () => {
      lane.close();
      await nats.close();
    },
  };
}

async function receiveStored(
  task: BusTask,
  sink: BlockSink,
): Promise<{ address: string; finished: Promise<number> }> {
  const { store, close } = await openStore(task);
  const read = async (): Promise<number> => {
    let stored = await store.open(key);
    for (; !stored; stored = await store.open(key)) await sleep(20);
    const startMs = performance.now();
    await stored.read(() => sink);
    const seconds = (performance.now() - startMs) / 1000;
    await close();
    return seconds;
  };
  return { address: key, finished: read() };
}

async function prepareStored(task: BusTask): ReturnType<BusPath['prepare']> {
  const { store, close } = await openStore(task);
  return { send: (source) => store.write(key, { tensors: [tensorOf(task, source)] }), close };
}

function tensorOf({ totalBytes }: BusTask, source: BlockSource): TensorSource {
  return {
    name: 'bench',
    dtype: 'float32',
    shape: [totalBytes / 4],
    byteLength: totalBytes,
    read: source.read,
  };
}
