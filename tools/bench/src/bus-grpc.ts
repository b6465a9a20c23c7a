import { Client, credentials, Server, ServerCredentials, type ServerReadableStream, type sendUnaryData } from '@grpc/grpc-js';

import type { BlockSink, BlockSource } from './bus-blocks.js';
import type { BusTask } from './bus-paths.js';

const path = '/emloc.bench.Bus/Send';
const messageBytes = 1024 * 1024;
const pass = (bytes: Buffer): Buffer => bytes;
const limits = { 'grpc.max_receive_message_length': 2 * messageBytes, 'grpc.max_send_message_length': 2 * messageBytes };

/** Plain grpc-js without protobuf around the bytes: the fastest that it gets. */
export async function receiveGrpc({ totalBytes }: BusTask, sink: BlockSink): Promise<{ address: string; finished: Promise<void> }> {
  const server = new Server(limits);
  let done: () => void = () => {};
  const finished = new Promise<void>((resolve) => { done = resolve; });
  const send = (call: ServerReadableStream<Buffer, Buffer>, respond: sendUnaryData<Buffer>): void => {
    let received = 0;
    call.on('data', (bytes: Buffer) => {
      sink.write(received, bytes);
      received += bytes.length;
    });
    call.on('end', () => {
      respond(null, Buffer.from(String(received)));
      if (received === totalBytes) done();
      server.tryShutdown(() => undefined);
    });
  };
  server.addService({ send: { path, requestStream: true, responseStream: false, requestSerialize: pass, requestDeserialize: pass, responseSerialize: pass, responseDeserialize: pass } }, { send });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => { if (error) reject(error); else resolve(bound); });
  });
  return { address: `127.0.0.1:${port}`, finished };
}

export async function sendGrpc({ totalBytes }: BusTask, address: string): Promise<{ send(source: BlockSource): Promise<void>; close(): Promise<void> }> {
  const client = new Client(address, credentials.createInsecure(), limits);
  await new Promise<void>((resolve, reject) => { client.waitForReady(Date.now() + 10_000, (error) => { if (error) reject(error); else resolve(); }); });
  const send = (source: BlockSource): Promise<void> => new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest(path, pass, pass, (error: Error | null) => { if (error) reject(error); else resolve(); });
    let at = 0;
    const write = (): void => {
      while (at < totalBytes) {
        const message = Buffer.allocUnsafe(Math.min(messageBytes, totalBytes - at));
        source.read(at, message);
        at += message.length;
        if (!call.write(message)) return void call.once('drain', write);
      }
      call.end();
    };
    write();
  });
  return { send, close: () => { client.close(); return Promise.resolve(); } };
}
