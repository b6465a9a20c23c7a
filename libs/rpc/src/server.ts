import { healthV1, reflectionV1, reflectionV1Alpha } from '@emloc/contracts';
import { pause, systemClock, type Clock, type Timer } from '@emloc/time';
import { Server, type ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';

import { anyone, type Authenticator } from './authentication.js';
import { Connections, http2ServersOf } from './connections.js';
import type { CallContext, CallLife } from './context.js';
import { methodPath, toMethodDefinition } from './definition.js';
import { refuseEarly } from './early-refusal.js';
import { RpcError } from './errors.js';
import { Health } from './health.js';
import type { Handlers, Service } from './methods.js';
import { endUnwelcome } from './reauthentication.js';
import { reflectionAlphaHandlers, reflectionHandlers } from './reflection.js';
import { toGrpcHandler, type CallSetting, type RpcObserver } from './server-call.js';

/** Limits of a server; `defaultServerOptions` has the values that hold when nothing is given. */
export interface RpcServerOptions {
  /** Largest message that is accepted, in bytes. */
  readonly maxReceiveBytes: number;
  /** Calls of one connection that run at the same time; more of them wait. */
  readonly maxConcurrentCalls: number;
  /** Calls of one tenant that run at the same time, over all its connections. */
  readonly maxCallsOfTenant: number;
  /** Connections that are open at the same time; one more takes the place of another. */
  readonly maxConnections: number;
  /** How long a TLS handshake may take. */
  readonly handshakeMs: number;
  /** How long a request may be on its way, where it is a single message. */
  readonly requestMs: number;
  /** How often callers of calls in progress are checked again. */
  readonly reauthenticateMs: number;
  /** Deadline of unary calls that come without one. */
  readonly unaryTimeoutMs: number;
  /** Deadline of streams that come without one; Infinity: none. */
  readonly streamTimeoutMs: number;
  /** A connection on which nothing came for this long is asked whether it lives. */
  readonly keepaliveMs: number;
  readonly observer: RpcObserver;
  /** By which callers are checked again. */
  readonly clock: Clock;
}

const defaultServerOptions: RpcServerOptions = Object.freeze({
  maxReceiveBytes: 4 * 1024 * 1024,
  maxConcurrentCalls: 1000,
  maxCallsOfTenant: 1000,
  maxConnections: 1000,
  handshakeMs: 10_000,
  requestMs: 30_000,
  reauthenticateMs: 1000,
  unaryTimeoutMs: 60_000,
  streamTimeoutMs: Number.POSITIVE_INFINITY,
  keepaliveMs: 30_000,
  observer: {},
  clock: systemClock,
});

const freePortAttempts = 10;

/** Where a server listens. */
export interface ListenOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly credentials: ServerCredentials;
}

/** A gRPC server of contract services, with health and reflection. */
export class RpcServer {
  readonly health = new Health();
  readonly #server: Server;
  readonly #options: RpcServerOptions;
  readonly #services: Service[] = [];
  readonly #lives = new Set<CallLife>();
  readonly #draining = new AbortController();
  readonly #connections: Connections;
  readonly #authenticators = new Map<string, Authenticator>();
  #reauthenticating: Timer | null = null;
  #closing: Promise<{ forced: boolean }> | null = null;

  constructor(options: Partial<RpcServerOptions> = {}) {
    this.#options = { ...defaultServerOptions, ...options };
    const { maxReceiveBytes, maxConcurrentCalls, keepaliveMs, requestMs, observer } = this.#options;
    this.#connections = new Connections(this.#options);
    const early = refuseEarly({
      authenticatorOf: (path) => this.#authenticators.get(path),
      requestMs,
      onRefused: (method, refusal) => {
        observer.callStarted?.({ method });
        observer.callFinished?.({ method, seconds: 0, ...refusal });
      },
    });
    this.#server = new Server({
      interceptors: [early],
      'grpc.max_receive_message_length': maxReceiveBytes,
      // Sending has no limit of its own: what is sent is ours.
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': maxConcurrentCalls,
      'grpc.keepalive_time_ms': keepaliveMs,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.enable_channelz': 0,
    });
    this.addService(healthV1.Health, this.health.handlers(), { authenticate: anyone });
    const listed = () => this.#services;
    this.addService(reflectionV1.ServerReflection, reflectionHandlers(listed), {
      authenticate: anyone,
    });
    this.addService(reflectionV1Alpha.ServerReflection, reflectionAlphaHandlers(listed), {
      authenticate: anyone,
    });
  }

  /** Before `listen`. Every call is authenticated first. */
  addService<S extends Service>(
    service: S,
    handlers: Handlers<S, CallContext>,
    { authenticate }: { readonly authenticate: Authenticator },
  ): void {
    const setting: CallSetting = {
      authenticate,
      timeoutMs: { unary: this.#options.unaryTimeoutMs, stream: this.#options.streamTimeoutMs },
      draining: this.#draining.signal,
      observer: this.#options.observer,
      lives: this.#lives,
      maxCallsOfTenant: this.#options.maxCallsOfTenant,
      onAuthenticated: (peer, principal) => this.#connections.identify(peer, principal),
    };
    for (const method of service.methods)
      this.#authenticators.set(methodPath(method), authenticate);
    const implementations = handlers as Readonly<Record<string, (...args: never) => unknown>>;
    const definition = Object.fromEntries(
      service.methods.map((method) => [method.localName, toMethodDefinition(method)]),
    );
    const implementation = Object.fromEntries(
      service.methods.map((method) => [
        method.localName,
        toGrpcHandler(method, implementations[method.localName]?.bind(handlers), setting),
      ]),
    );
    this.#server.addService(definition, implementation as UntypedServiceImplementation);
    this.#services.push(service);
    this.health.register(service.typeName);
  }

  /**
   * Starts to accept calls; readiness is `health.setReady`.
   * @throws RpcError UNAVAILABLE when the address cannot be had
   */
  async listen({
    host,
    port,
    credentials,
  }: ListenOptions): Promise<{ port: number; address: string }> {
    const name = host.includes(':') ? `[${host}]` : host;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const bound = await this.#bind(`${name}:${port}`, credentials);
        for (const server of http2ServersOf(this.#server)) this.#connections.guard(server);
        this.#reauthenticate();
        return { port: bound, address: `${name}:${bound}` };
      } catch (cause) {
        const { message } = cause as Error;
        // Another process may listen first on the port that was chosen for this one.
        if (port === 0 && attempt < freePortAttempts && message.includes('EADDRINUSE')) continue;
        throw new RpcError('UNAVAILABLE', `cannot listen on ${name}:${port}: ${message}`, {
          reason: 'LISTEN_FAILED',
          cause,
        });
      }
    }
  }

  #reauthenticate(): void {
    this.#reauthenticating ??= this.#options.clock.every(
      this.#options.reauthenticateMs,
      () => void endUnwelcome(this.#lives),
      { holdsProcess: false },
    );
  }

  #bind(address: string, credentials: ServerCredentials): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, port) => {
        if (error) reject(error);
        else resolve(port);
      });
    });
  }

  /**
   * Stops to be ready and to accept calls, tells streams to end, waits for the calls in progress
   * for up to `graceMs`, then ends them with UNAVAILABLE. A second call waits for the first.
   * @returns whether calls had to be ended
   */
  close(graceMs: number): Promise<{ forced: boolean }> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<{ forced: boolean }> {
    this.health.setReady(false);
    this.#reauthenticating?.end();
    this.#draining.abort(
      new RpcError('UNAVAILABLE', 'the server is closing', { reason: 'SERVER_CLOSING' }),
    );
    const drained = new Promise<boolean>((resolve) =>
      this.#server.tryShutdown(() => resolve(true)),
    );
    const idle = await settledWithin(drained, graceMs);
    if (idle) return { forced: false };
    // A connection whose peer is gone keeps tryShutdown waiting although no call is left.
    const forced = this.#lives.size > 0;
    for (const life of this.#lives)
      life.abort(
        new RpcError('UNAVAILABLE', `the server closed after a grace of ${graceMs} ms`, {
          reason: 'SERVER_CLOSING',
        }),
      );
    // The aborted calls write their status first.
    await settledWithin(drained, forced ? 100 : 0);
    this.#server.forceShutdown();
    return { forced };
  }
}

/** Whether `promise` was fulfilled within so many milliseconds. */
async function settledWithin(promise: Promise<boolean>, ms: number): Promise<boolean> {
  const over = new AbortController();
  const passed = pause(ms, { signal: over.signal }).then(() => false);
  try {
    return await Promise.race([promise, passed]);
  } finally {
    over.abort();
  }
}
