import { randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { at, messageOf } from '@emloc/checked';
import { backoffMs, Mailbox, Renewal, systemClock, type Timer } from '@emloc/time';

import { NatsError } from '../errors.js';
import { inboxPrefixOf, type NatsAccess } from './access.js';
import { BufferPool } from './buffer-pool.js';
import {
  connectLine,
  crlf,
  encodeHeaders,
  publishLine,
  serverAddress,
  subscribeLine,
} from './lane-lines.js';
import { LaneParser, type LaneEvents, type LaneMessage } from './lane-parser.js';
import type { Lane } from './lane.js';
import { reconnectPauses } from './retry.js';

export interface LaneOptions {
  /** Limit for the first connection. */
  readonly connectTimeoutMs?: number;
  /** Idle receive buffers kept for reuse. */
  readonly maxIdleBytes?: number;
}

interface ServerInfo {
  readonly max_payload?: number;
  readonly nonce?: string;
  readonly tls_required?: boolean;
}

interface LaneSubscription {
  readonly subject: string;
  readonly handler: (message: LaneMessage) => void;
}

const readBufferBytes = 256 * 1024;
const pingIntervalMs = 10_000;
/** Without an answer to a ping for so long, the connection is given up. */
const silenceMs = 30_000;

/**
 * Opens a lane.
 * @throws NatsError NATS_CONNECT_FAILED when no server accepts within the limit, or at once
 * when the credentials are refused
 */
export async function openLane(
  access: NatsAccess,
  { connectTimeoutMs = 10_000, maxIdleBytes = 32 * 1024 * 1024 }: LaneOptions = {},
): Promise<Lane> {
  const lane = new SocketLane(access, new BufferPool(maxIdleBytes));
  await lane.open(connectTimeoutMs);
  return lane;
}

type LaneState =
  /** Before `open`. */
  | { readonly kind: 'idle' }
  /** Until the server has said who it is, and TLS stands where it is wanted. */
  | { readonly kind: 'dialing'; readonly socket: Socket }
  /** Greeted with the subscriptions; the server has not answered. */
  | { readonly kind: 'greeting'; readonly socket: Socket }
  | { readonly kind: 'connected'; readonly socket: Socket; readonly pings: Renewal }
  /** Without a connection, before the next attempt. */
  | { readonly kind: 'lost'; readonly redial: Timer }
  | { readonly kind: 'closed' };

class SocketLane implements Lane, LaneEvents {
  readonly inbox: string;
  maxPayloadBytes = 1024 * 1024;

  readonly #parser: LaneParser;
  readonly #subscriptions = new Map<number, LaneSubscription>();
  readonly #reconnectListeners = new Set<() => void>();
  #state: LaneState = { kind: 'idle' };
  #nextSubscriptionId = 1;
  /** Since there was a connection. */
  #attempts = 0;
  #lastError: Error | undefined;
  #ponged: () => void = () => undefined;
  /** Null: it has been connected, or was closed. */
  #opening: Mailbox<null> | null = null;

  constructor(
    private readonly access: NatsAccess,
    pool: BufferPool,
  ) {
    this.inbox = `${inboxPrefixOf(access)}.${randomBytes(12).toString('base64url').replaceAll('_', '0').replaceAll('-', '1')}`;
    this.#parser = new LaneParser(this, pool);
  }

  get connected(): boolean {
    return this.#state.kind === 'connected';
  }

  async open(timeoutMs: number): Promise<void> {
    const opening = new Mailbox<null>();
    this.#opening = opening;
    this.#dial();
    try {
      const { kind } = await opening.take(timeoutMs);
      if (kind === 'silence') throw this.#openFailure(`no answer within ${timeoutMs} ms`);
    } catch (error) {
      this.#abandon();
      throw error;
    } finally {
      this.#opening = null;
    }
  }

  publish(
    subject: string,
    parts: readonly Uint8Array[],
    { reply, headers }: { reply?: string; headers?: Readonly<Record<string, string>> } = {},
  ): boolean {
    if (this.#state.kind !== 'connected') return false;
    const { socket } = this.#state;
    const headerBlock = headers ? encodeHeaders(headers) : undefined;
    const payloadBytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (payloadBytes > this.maxPayloadBytes) {
      throw new RangeError(
        `nats: a message of ${payloadBytes} bytes to ${subject} exceeds the server's limit of ${this.maxPayloadBytes}`,
      );
    }
    socket.cork();
    socket.write(publishLine(subject, reply, { headerBlock, payloadBytes }), 'latin1');
    if (headerBlock) socket.write(headerBlock);
    for (const part of parts) socket.write(part);
    socket.write(crlf);
    process.nextTick(() => socket.uncork());
    return true;
  }

  subscribe(subject: string, handler: (message: LaneMessage) => void): () => void {
    const id = this.#nextSubscriptionId++;
    this.#subscriptions.set(id, { subject, handler });
    this.#say(subscribeLine(id, subject));
    return () => {
      if (this.#subscriptions.delete(id)) this.#say(`UNSUB ${id}\r\n`);
    };
  }

  onReconnect(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  close(): void {
    const socket = this.#socket;
    this.#leave();
    this.#state = { kind: 'closed' };
    this.#subscriptions.clear();
    this.#reconnectListeners.clear();
    // What is written goes out first; a peer that does not read cannot hold the process.
    socket?.end();
    socket?.unref();
  }

  message(subscriptionId: number, message: LaneMessage): void {
    const subscription = this.#subscriptions.get(subscriptionId);
    if (subscription) subscription.handler(message);
    else message.release();
  }

  info(json: string): void {
    const info = JSON.parse(json) as ServerInfo;
    this.maxPayloadBytes = info.max_payload ?? this.maxPayloadBytes;
    if (this.#state.kind !== 'dialing') return;
    const { socket } = this.#state;
    if (info.tls_required && !this.access.tls)
      return this.#drop(new Error('the server requires TLS and no TLS options were given'));
    if (this.access.tls) this.#upgrade(socket, info);
    else this.#greet(socket, info);
  }

  ping(): void {
    this.#say('PONG\r\n');
  }

  pong(): void {
    if (this.#state.kind === 'greeting') this.#connected(this.#state.socket);
    else this.#ponged();
  }

  error(text: string): void {
    const error = new Error(text.replaceAll("'", ''));
    if (/authorization|authentication/i.test(text))
      this.#opening?.fail(this.#openFailure('the server refused the credentials'));
    this.#drop(error);
  }

  /** Before it has greeted, a lane has nothing to say that the greeting does not. */
  #say(line: string): void {
    if (this.#state.kind === 'greeting' || this.#state.kind === 'connected')
      this.#state.socket.write(line);
  }

  #dial(): void {
    const { host, port } = this.#server;
    this.#attempts += 1;
    this.#parser.reset();
    const scratch = Buffer.allocUnsafeSlow(readBufferBytes);
    const onread = {
      buffer: () => this.#parser.target(scratch),
      callback: (count: number, buffer: Uint8Array) => this.#received(buffer.subarray(0, count)),
    };
    // A socket that will be upgraded to TLS must not read by itself.
    const socket = connectTcp({ host, port, ...(this.access.tls ? {} : { onread }) });
    this.#adopt(socket);
    if (this.access.tls) socket.on('data', (bytes: Buffer) => this.#received(bytes));
  }

  /** Of this attempt, or the next. */
  get #server(): { readonly host: string; readonly port: number } {
    const { servers } = this.access;
    return serverAddress(at(servers, this.#attempts % servers.length));
  }

  #adopt(socket: Socket): void {
    this.#state = { kind: 'dialing', socket };
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      this.#lastError = error;
    });
    socket.on('close', () => this.#lost(socket));
  }

  #received(bytes: Uint8Array): boolean {
    try {
      this.#parser.push(bytes);
    } catch (error) {
      this.#drop(error instanceof Error ? error : new Error(String(error)));
    }
    return true;
  }

  #upgrade(plain: Socket, info: ServerInfo): void {
    plain.removeAllListeners('data');
    plain.removeAllListeners('close');
    const { host } = serverAddress(
      at(this.access.servers, (this.#attempts - 1) % this.access.servers.length),
    );
    const secure = connectTls({
      socket: plain,
      servername: /^[\d.:]+$/.test(host) ? undefined : host,
      host,
      ...this.access.tls,
    });
    this.#adopt(secure);
    secure.on('data', (bytes: Buffer) => this.#received(bytes));
    secure.once('secureConnect', () => this.#greet(secure, info));
  }

  #greet(socket: Socket, info: ServerInfo): void {
    const subscriptions = [...this.#subscriptions].map(([id, { subject }]) =>
      subscribeLine(id, subject),
    );
    this.#state = { kind: 'greeting', socket };
    socket.write(`${connectLine(this.access, info.nonce)}${subscriptions.join('')}PING\r\n`);
  }

  #connected(socket: Socket): void {
    const pings = new Renewal({
      everyMs: pingIntervalMs,
      lostAfterMs: silenceMs,
      renew: () => this.#ping(socket),
      onLost: () => this.#drop(new Error(`no answer to a ping for ${silenceMs} ms`)),
      holdsProcess: false,
    });
    this.#state = { kind: 'connected', socket, pings };
    this.#attempts = 0;
    if (this.#opening) this.#opening.put(null);
    else for (const listener of this.#reconnectListeners) listener();
  }

  #ping(socket: Socket): Promise<null> {
    return new Promise((resolve) => {
      this.#ponged = () => resolve(null);
      socket.write('PING\r\n');
    });
  }

  #drop(error: Error): void {
    this.#lastError = error;
    const socket = this.#socket;
    if (socket === null) return;
    this.#lost(socket);
    socket.destroy();
  }

  /** Nothing happens where another socket has taken its place, or none is wanted any more. */
  #lost(socket: Socket): void {
    if (socket !== this.#socket) return;
    this.#leave();
    const redial = systemClock.after(backoffMs(reconnectPauses, this.#attempts), () =>
      this.#dial(),
    );
    this.#state = { kind: 'lost', redial };
  }

  get #socket(): Socket | null {
    return 'socket' in this.#state ? this.#state.socket : null;
  }

  /** Ends what the state has running, but for its socket. */
  #leave(): void {
    if (this.#state.kind === 'lost') this.#state.redial.end();
    if (this.#state.kind === 'connected') void this.#state.pings.end();
  }

  /** Closes without the other end's help. */
  #abandon(): void {
    const socket = this.#socket;
    this.close();
    socket?.destroy();
  }

  #openFailure(reason: string): NatsError {
    const detail = this.#lastError ? ` (${messageOf(this.#lastError)})` : '';
    return new NatsError(
      'NATS_CONNECT_FAILED',
      `nats: no connection to ${this.access.servers.join(', ')}: ${reason}${detail}`,
      { cause: this.#lastError },
    );
  }
}
