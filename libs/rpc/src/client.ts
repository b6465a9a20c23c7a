import { randomUUID } from 'node:crypto';
import type { DescMethod, Message } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { Client, type ChannelCredentials } from '@grpc/grpc-js';

import {
  callUnary,
  callWithStream,
  exchangeStreams,
  readStream,
  type Attempt,
} from './client-call.js';
import { RpcError } from './errors.js';
import type { Callers, Service } from './methods.js';
import { defaultRetryPolicy, withRetries, type RetryPolicy } from './retry.js';

/** How one call is made. */
export interface CallOptions {
  /** Ends the call with CANCELLED. */
  readonly signal?: AbortSignal;
  /**
   * For the call with all its repetitions; Infinity: none. Default: the channel's for unary calls,
   * none for streams.
   */
  readonly timeoutMs?: number;
  /** Names the request in the logs of both ends. */
  readonly requestId?: string;
}

/** A connection to a server, and how calls are made over it. */
export interface ChannelOptions {
  /** `host:port`, or any other name that gRPC resolves. */
  readonly address: string;
  readonly credentials: ChannelCredentials;
  /** Bearer token; null: none. */
  readonly token?: string | null;
  /** Deadline of unary calls, repetitions included. */
  readonly unaryTimeoutMs?: number;
  readonly retry?: RetryPolicy;
  /** Largest message that is accepted, in bytes. */
  readonly maxReceiveBytes?: number;
  /** Name that the server's certificate must have, where it is not the address's. */
  readonly serverName?: string;
}

/** What `close` of a channel and typed clients need. */
export class RpcChannel {
  readonly #client: Client;
  readonly #token: string | null;
  readonly #unaryTimeoutMs: number;
  readonly #retry: RetryPolicy;

  constructor({
    address,
    credentials,
    token = null,
    unaryTimeoutMs = 30_000,
    retry = defaultRetryPolicy,
    maxReceiveBytes = 4 * 1024 * 1024,
    serverName,
  }: ChannelOptions) {
    this.#client = new Client(address, credentials, {
      'grpc.max_receive_message_length': maxReceiveBytes,
      'grpc.max_send_message_length': -1,
      // HTTP/2's 64 KiB hold a download at a third of what it reaches with this; see `tools/bench
      // bus`.
      'grpc-node.flow_control_window': 1024 * 1024,
      'grpc.keepalive_time_ms': 20_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000,
      // Repetitions are this library's: they know which methods may be repeated.
      'grpc.enable_retries': 0,
      'grpc.enable_channelz': 0,
      ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
    });
    this.#token = token;
    this.#unaryTimeoutMs = unaryTimeoutMs;
    this.#retry = retry;
  }

  /**
   * A client of a service. Unary methods that the contract calls free of side effects or idempotent
   * are repeated on retryable errors; streams never are. Everything that fails does so with an
   * RpcError.
   */
  client<S extends Service>(service: S): Callers<S, CallOptions> {
    const callers = service.methods.map(
      (method) => [method.localName, this.#caller(method)] as const,
    );
    return Object.fromEntries(callers) as unknown as Callers<S, CallOptions>;
  }

  /** Resolves when the server can be reached. @throws RpcError UNAVAILABLE after `timeoutMs` */
  waitForReady(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + timeoutMs, (cause) => {
        if (cause)
          reject(
            new RpcError(
              'UNAVAILABLE',
              `${this.#client.getChannel().getTarget()} was not reached within ${timeoutMs} ms`,
              { cause },
            ),
          );
        else resolve();
      });
    });
  }

  /** Calls in progress end with an error. */
  close(): void {
    this.#client.close();
  }

  #caller(
    method: DescMethod,
  ): (input: never, options?: CallOptions) => Promise<Message> | AsyncIterable<Message> {
    switch (method.methodKind) {
      case 'unary':
        return (input, options) => this.#unary(method, input, options);
      case 'client_streaming':
        return (input, options) =>
          callWithStream(this.#client, this.#attempt(method, options), input);
      case 'server_streaming':
        return (input, options) => readStream(this.#client, this.#attempt(method, options), input);
      case 'bidi_streaming':
        return (input, options) =>
          exchangeStreams(this.#client, this.#attempt(method, options), input);
    }
  }

  #unary(
    method: DescMethod,
    request: Record<string, unknown>,
    options: CallOptions = {},
  ): Promise<Message> {
    const deadlineMs = performance.now() + (options.timeoutMs ?? this.#unaryTimeoutMs);
    const attempt = this.#attempt(method, options);
    const policy = mayBeRepeated(method) ? this.#retry : { ...this.#retry, attempts: 1 };
    const call = () =>
      callUnary(
        this.#client,
        { ...attempt, timeoutMs: Math.max(1, deadlineMs - performance.now()) },
        request,
      );
    return withRetries(call, { policy, signal: options.signal, deadlineMs });
  }

  #attempt(
    method: DescMethod,
    { signal, timeoutMs = Number.POSITIVE_INFINITY, requestId = randomUUID() }: CallOptions = {},
  ): Attempt {
    return { method, requestId, token: this.#token, timeoutMs, signal };
  }
}

function mayBeRepeated({ idempotency }: DescMethod): boolean {
  return idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
}
