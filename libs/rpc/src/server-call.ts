import type { DescMethod, Message } from '@bufbuild/protobuf';
import { nextTurn, sleep } from '@emloc/time';
import {
  Metadata,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';

import { identityOf, type Authenticator, type Principal } from './authentication.js';
import type { RpcCode } from './codes.js';
import { CallLife, requestIdKey, type CallContext, type ServerCall } from './context.js';
import { decode, encode, methodPath } from './definition.js';
import { toRpcError } from './engine-errors.js';
import { RpcError } from './errors.js';
import { untilAborted, writeAll } from './streams.js';
import { toGrpcStatus } from './wire-errors.js';

/** What a server tells about its calls, for metrics and logs. */
export interface RpcObserver {
  callStarted?(call: { readonly method: string }): void;
  /** `error` is as it was thrown, with its causes; the caller saw less. */
  callFinished?(call: {
    readonly method: string;
    readonly code: RpcCode | 'OK';
    readonly seconds: number;
    readonly requestId: string;
    readonly error: unknown;
  }): void;
}

/** What all calls of a service share. */
export interface CallSetting {
  readonly authenticate: Authenticator;
  readonly timeoutMs: { readonly unary: number; readonly stream: number };
  readonly draining: AbortSignal;
  readonly observer: RpcObserver;
  /** Calls in progress, so that closing can end them. */
  readonly lives: Set<CallLife>;
  /** Calls of one tenant at the same time. */
  readonly maxCallsOfTenant: number;
  readonly onAuthenticated: (peer: string, principal: Principal) => void;
}

type Plain = Record<string, unknown>;
type Handler = (
  input: Message | AsyncIterable<Message>,
  context: CallContext,
) => Promise<Plain> | AsyncIterable<Plain>;
type Incoming =
  | ServerUnaryCall<Buffer, Buffer>
  | ServerReadableStream<Buffer, Buffer>
  | ServerWritableStream<Buffer, Buffer>
  | ServerDuplexStream<Buffer, Buffer>;

/** The function that grpc-js calls for a method, around the handler that implements it. */
export function toGrpcHandler(
  method: DescMethod,
  handler: unknown,
  setting: CallSetting,
): (call: Incoming, respond: sendUnaryData<Buffer>) => void {
  const run = handler as Handler;
  const isStream =
    method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming';
  return (call, respond) =>
    void observe(
      call,
      method,
      setting,
      async (context, life) => {
        const input =
          'request' in call
            ? decode(method.input, call.request, 'INVALID_ARGUMENT')
            : messagesOf(call, { method, life });
        if (isStream)
          return sendStream(call as ServerWritableStream<Buffer, Buffer>, method, {
            messages: run(input, context) as AsyncIterable<Plain>,
            life,
          });
        const output = await untilAborted(run(input, context) as Promise<Plain>, life.signal);
        respond(null, encode(method.output, output));
      },
      isStream ? (error) => void call.emit('error', error) : (error) => respond(error),
    );
}

/** Authenticates, runs, reports, and answers errors. Never rejects. */
async function observe(
  call: Incoming,
  method: DescMethod,
  setting: CallSetting,
  run: (context: CallContext, life: CallLife) => Promise<void>,
  fail: (error: Error & ReturnType<typeof toGrpcStatus>) => void,
): Promise<void> {
  const path = methodPath(method);
  const life = new CallLife(
    call,
    setting.timeoutMs[method.methodKind === 'unary' ? 'unary' : 'stream'],
  );
  setting.lives.add(life);
  setting.observer.callStarted?.({ method: path });
  let code: RpcCode | 'OK' = 'OK';
  let thrown: unknown = null;
  try {
    await run(await contextOf(call, life, { method: path, setting }), life);
  } catch (error) {
    thrown = life.signal.aborted ? life.signal.reason : error;
    const answer = toRpcError(thrown, { request_id: life.requestId });
    code = answer.code;
    fail(Object.assign(new Error(answer.message), toGrpcStatus(answer)));
  } finally {
    setting.lives.delete(life);
    setting.observer.callFinished?.({
      method: path,
      code,
      ...life.end(),
      requestId: life.requestId,
      error: thrown,
    });
  }
}

async function contextOf(
  call: ServerCall,
  life: CallLife,
  { method, setting }: { method: string; setting: CallSetting },
): Promise<CallContext> {
  if (setting.draining.aborted)
    throw new RpcError('UNAVAILABLE', 'the server is closing', { reason: 'SERVER_CLOSING' });
  const { authenticate } = setting;
  const identity = identityOf(call.metadata, call.getAuthContext());
  const principal = await authenticate(identity);
  setting.onAuthenticated(call.getPeer(), principal);
  assertRoom(principal, setting);
  life.caller = { identity, principal, authenticate };
  const header = new Metadata();
  header.set(requestIdKey, life.requestId);
  call.sendMetadata(header);
  return {
    method,
    requestId: life.requestId,
    principal,
    peer: call.getPeer(),
    signal: life.signal,
    draining: setting.draining,
    deadline: life.deadline,
  };
}

const retryDelayMs = 1000;

/** @throws RpcError RESOURCE_EXHAUSTED when a tenant has all the calls that it may have */
function assertRoom(principal: Principal, { lives, maxCallsOfTenant }: CallSetting): void {
  if (principal.kind !== 'tenant' || lives.size <= maxCallsOfTenant) return;
  const count = [...lives].filter(
    ({ caller }) =>
      caller?.principal.kind === 'tenant' && caller.principal.tenant === principal.tenant,
  ).length;
  if (count < maxCallsOfTenant) return;
  throw new RpcError(
    'RESOURCE_EXHAUSTED',
    `${count} calls of this tenant are under way, ${maxCallsOfTenant} are allowed`,
    { reason: 'TOO_MANY_CALLS', retryDelayMs },
  );
}

/** How long the event of a cancellation may lag behind the end of the stream that it looks like. */
const cancellationGraceMs = 50;

/**
 * The messages of a request stream. A call that the client cancels looks as if the client had sent
 * everything, until the event of the cancellation comes soon after: the end is an end only when it
 * does not. Under extreme load that can be too late, so uploads carry size and hash. Ending the
 * iteration early leaves the rest to grpc-js.
 */
async function* messagesOf(
  call: ServerReadableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  { method, life }: { method: DescMethod; life: CallLife },
): AsyncGenerator<Message> {
  for await (const bytes of call.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    yield decode(method.input, bytes, 'INVALID_ARGUMENT');
  }
  await sleep(cancellationGraceMs);
  // After a pause of the whole process the timer comes before what has arrived meanwhile.
  await nextTurn();
  life.signal.throwIfAborted();
}

async function sendStream(
  call: ServerWritableStream<Buffer, Buffer>,
  method: DescMethod,
  { messages, life }: { messages: AsyncIterable<Plain>; life: CallLife },
): Promise<void> {
  await writeAll(messages, call, {
    encode: (message) => encode(method.output, message),
    signal: life.signal,
  });
  call.end();
}
