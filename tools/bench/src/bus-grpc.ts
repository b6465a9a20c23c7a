import { once } from 'node:events';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerWritableStream,
} from '@grpc/grpc-js';

import type { BlockSink, BlockSource } from './bus-blocks.js';
import type { BusTask } from './bus-task.js';

const path = '/emloc.bench.Bus/Send';
const messageBytes = 1024 * 1024;
const pass = (bytes: Buffer): Buffer => bytes;
const options = {
  'grpc.max_receive_message_length': 2 * messageBytes,
  'grpc.max_send_message_length': 2 * messageBytes,
};

/**
 * Bytes that may be under way. HTTP/2's default is 65,535; grpc-js lets a client that receives have
 * more, and no server.
 */
export const largeWindowBytes = 1024 * 1024;

/**
 * Plain grpc-js without protobuf around the bytes. The sender listens, so that the receiver's
 * address is a file into which the sender writes where.
 * @param windowBytes default: HTTP/2's
 */
export async function receiveGrpc(
  { totalBytes }: BusTask,
  sink: BlockSink,
  windowBytes?: number,
): Promise<{ address: string; finished: Promise<void> }> {
  const file = join(mkdtempSync(join(tmpdir(), 'emloc-bench-grpc-')), 'address');
  const receive = async (): Promise<void> => {
    const client = new Client(await writtenBy(file), credentials.createInsecure(), {
      ...options,
      ...(windowBytes === undefined ? {} : { 'grpc-node.flow_control_window': windowBytes }),
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 100,
    });
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 30_000, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    let received = 0;
    for await (const bytes of client.makeServerStreamRequest(
      path,
      pass,
      pass,
      Buffer.alloc(0),
    ) as AsyncIterable<Buffer>) {
      sink.write(received, bytes);
      received += bytes.length;
    }
    client.close();
    if (received !== totalBytes)
      throw new Error(`bench bus: ${received} of ${totalBytes} bytes came over gRPC`);
  };
  return { address: file, finished: receive() };
}

async function writtenBy(file: string): Promise<string> {
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => null);
    if (text === null) await sleep(20);
    else {
      await rm(dirname(file), { recursive: true });
      return text;
    }
  }
}

export async function sendGrpc(
  { totalBytes }: BusTask,
  file: string,
): Promise<{ send(source: BlockSource): Promise<void>; close(): Promise<void> }> {
  const server = new Server(options);
  const asked = new Promise<ServerWritableStream<Buffer, Buffer>>((resolve) => {
    server.addService(
      {
        send: {
          path,
          requestStream: false,
          responseStream: true,
          requestSerialize: pass,
          requestDeserialize: pass,
          responseSerialize: pass,
          responseDeserialize: pass,
        },
      },
      { send: resolve },
    );
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  writeFileSync(`${file}.new`, `127.0.0.1:${port}`);
  renameSync(`${file}.new`, file);
  const call = await asked;
  const send = async (source: BlockSource): Promise<void> => {
    for (let at = 0; at < totalBytes; at += messageBytes) {
      const message = Buffer.allocUnsafe(Math.min(messageBytes, totalBytes - at));
      source.read(at, message);
      if (!call.write(message)) await once(call, 'drain');
    }
    call.end();
    await once(call, 'finish');
  };
  return {
    send,
    close: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
      }),
  };
}
