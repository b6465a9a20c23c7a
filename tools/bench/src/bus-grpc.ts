import { once } from 'node:events';
import { freePort } from '@emloc/service-kit';
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

/** Plain grpc-js without protobuf around the bytes. @param windowBytes default: HTTP/2's */
export async function receiveGrpc(
  { totalBytes }: BusTask,
  sink: BlockSink,
  windowBytes?: number,
): Promise<{ address: string; finished: Promise<void> }> {
  const address = `127.0.0.1:${await freePort()}`;
  const receive = async (): Promise<void> => {
    const client = new Client(address, credentials.createInsecure(), {
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
  return { address, finished: receive() };
}

export async function sendGrpc(
  { totalBytes }: BusTask,
  address: string,
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
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
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
