import type { DescMethod, Message } from '@bufbuild/protobuf';
import {
  Metadata,
  type Client,
  type ClientReadableStream,
  type ClientWritableStream,
  type CallOptions as GrpcCallOptions,
} from '@grpc/grpc-js';

import { requestIdKey } from './context.js';
import { decode, encode, toMethodDefinition } from './definition.js';
import { cancelled } from './retry.js';
import { writeAll } from './streams.js';
import { fromGrpcError } from './wire-errors.js';

/** One attempt at one call. */
export interface Attempt {
  readonly method: DescMethod;
  readonly requestId: string;
  /** `authorization`, without which the call is made when null. */
  readonly token: string | null;
  /** Infinity: none. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

type Plain = Record<string, unknown>;

/** Sends one message, receives one. */
export function callUnary(client: Client, attempt: Attempt, request: Plain): Promise<Message> {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(attempt.method);
  const bytes = encode(attempt.method.input, request);
  return settle(attempt, (done) =>
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      bytes,
      headersOf(attempt),
      optionsOf(attempt),
      done,
    ),
  );
}

/**
 * Sends messages at the speed of the server, receives one. A server that answers early ends the
 * sending.
 */
export async function callWithStream(
  client: Client,
  attempt: Attempt,
  requests: AsyncIterable<Plain>,
): Promise<Message> {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(attempt.method);
  const sending = new AbortController();
  let sent: Promise<unknown> = Promise.resolve(null);
  let sourceError: unknown = null;
  try {
    return await settle(attempt, (done) => {
      const call = client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        headersOf(attempt),
        optionsOf(attempt),
        done,
      );
      sent = sendAll(call, attempt.method, { requests, signal: sending.signal }).catch(
        (error: unknown) => {
          if (sending.signal.aborted) return;
          sourceError = error;
          call.cancel();
        },
      );
      return call;
    });
  } catch (error) {
    throw sourceError ?? error;
  } finally {
    sending.abort(new Error('the call has ended'));
    await sent;
  }
}

/** Receives messages at the speed of the reader, who cancels the call by ending the iteration. */
export async function* readStream(
  client: Client,
  attempt: Attempt,
  request: Plain,
): AsyncGenerator<Message> {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(attempt.method);
  if (attempt.signal?.aborted) throw cancelled(attempt.signal);
  const bytes = encode(attempt.method.input, request);
  const call = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    bytes,
    headersOf(attempt),
    optionsOf(attempt),
  );
  yield* messagesOf(call, attempt);
}

/** Sends and receives at the same time. */
export async function* exchangeStreams(
  client: Client,
  attempt: Attempt,
  requests: AsyncIterable<Plain>,
): AsyncGenerator<Message> {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(attempt.method);
  if (attempt.signal?.aborted) throw cancelled(attempt.signal);
  const call = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    headersOf(attempt),
    optionsOf(attempt),
  );
  const sending = new AbortController();
  let sourceError: unknown = null;
  const sent = sendAll(call, attempt.method, { requests, signal: sending.signal }).catch(
    (error: unknown) => {
      if (sending.signal.aborted) return;
      sourceError = error;
      call.cancel();
    },
  );
  try {
    yield* messagesOf(call, attempt);
  } catch (error) {
    throw sourceError ?? error;
  } finally {
    sending.abort(new Error('the call has ended'));
    await sent;
  }
}

async function sendAll(
  call: ClientWritableStream<Buffer>,
  method: DescMethod,
  { requests, signal }: { requests: AsyncIterable<Plain>; signal: AbortSignal },
): Promise<void> {
  await writeAll(requests, call, { encode: (message) => encode(method.input, message), signal });
  call.end();
}

async function* messagesOf(
  call: ClientReadableStream<Buffer>,
  { method, signal }: Attempt,
): AsyncGenerator<Message> {
  const onAbort = (): void => call.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  // Cancelling a call that nobody reads any more ends in an error event.
  call.on('error', () => undefined);
  try {
    for await (const bytes of call as AsyncIterable<Buffer>)
      yield decode(method.output, bytes, 'INTERNAL');
  } catch (error) {
    throw signal?.aborted ? cancelled(signal) : fromGrpcError(error);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    call.cancel();
  }
}

type Done = (error: Error | null, response?: Buffer) => void;

/** The promise of a call that answers through a callback and can be cancelled. */
function settle(
  { method, signal }: Attempt,
  start: (done: Done) => { cancel(): void },
): Promise<Message> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(cancelled(signal));
      return;
    }
    const onAbort = (): void => call.cancel();
    const call = start((error, response) => {
      signal?.removeEventListener('abort', onAbort);
      if (error || !response) {
        reject(signal?.aborted ? cancelled(signal) : fromGrpcError(error));
        return;
      }
      try {
        resolve(decode(method.output, response, 'INTERNAL'));
      } catch (malformed) {
        reject(malformed as Error);
      }
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

function headersOf({ requestId, token }: Attempt): Metadata {
  const metadata = new Metadata();
  metadata.set(requestIdKey, requestId);
  if (token !== null) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

function optionsOf({ timeoutMs }: Attempt): GrpcCallOptions {
  return Number.isFinite(timeoutMs) ? { deadline: Date.now() + timeoutMs } : {};
}
