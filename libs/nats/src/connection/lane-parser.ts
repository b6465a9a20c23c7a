import { at } from '@emloc/checked';

import type { BufferPool } from './buffer-pool.js';

/**
 * A message as the server delivers it. `payload` and `headers` may be kept until `release` is
 * called, not longer.
 */
export interface LaneMessage {
  readonly subject: string;
  readonly reply: string | undefined;
  /** The header block with its `NATS/1.0` line; empty when there is none. */
  readonly headers: Uint8Array;
  readonly payload: Uint8Array;
  /** Gives the memory back; once. */
  release(): void;
}

export interface LaneEvents {
  message(subscriptionId: number, message: LaneMessage): void;
  info(json: string): void;
  ping(): void;
  pong(): void;
  /** What the server said after `-ERR`. */
  error(text: string): void;
}

interface PendingMessage {
  readonly subject: string;
  readonly subscriptionId: number;
  readonly reply: string | undefined;
  readonly headerBytes: number;
  readonly totalBytes: number;
  readonly buffer: Buffer;
  filled: number;
}

const pooledFromBytes = 32 * 1024;
/**
 * A read of what begins with a protocol line takes no more of a large payload than this, since
 * these bytes are copied.
 */
const lineReadBytes = 16 * 1024;
/** Payloads from here on are read into place. */
const largeBytes = 128 * 1024;
const maxLineBytes = 1024 * 1024;
const newline = 10;

/**
 * Parser of the NATS client protocol
 * (https://docs.nats.io/reference/reference-protocols/nats-protocol), server to client. Payloads
 * end up in pooled buffers, whatever pieces they arrive in; `target` lets a socket read most of a
 * large one into place, the rest is copied once.
 */
export class LaneParser {
  #line = Buffer.alloc(0);
  #pending: PendingMessage | undefined;
  /** Bytes of the CR LF after a payload that are still to come. */
  #trailing = 0;
  #previousBytes = 0;

  constructor(
    private readonly events: LaneEvents,
    private readonly pool: BufferPool,
  ) {}

  /**
   * Where the next bytes are best read: the rest of a payload, or else a part of `scratch`. They
   * are pushed before this is asked again.
   */
  target(scratch: Buffer): Buffer {
    const pending = this.#pending;
    if (pending && pending.totalBytes - pending.filled >= lineReadBytes)
      return pending.buffer.subarray(pending.filled, pending.totalBytes);
    return this.#previousBytes >= largeBytes ? scratch.subarray(0, lineReadBytes) : scratch;
  }

  /**
   * @param bytes may be overwritten after the call
   * @throws Error when this is not the protocol; the connection is of no more use then
   */
  push(bytes: Uint8Array): void {
    let position = 0;
    while (position < bytes.length) position = this.#step(bytes, position);
  }

  /** Forgets a half-received message, for a new connection. */
  reset(): void {
    if (this.#pending) this.#giveBack(this.#pending.buffer);
    this.#pending = undefined;
    this.#trailing = 0;
    this.#previousBytes = 0;
    this.#line = Buffer.alloc(0);
  }

  #step(bytes: Uint8Array, position: number): number {
    if (this.#pending) return this.#fill(this.#pending, bytes, position);
    if (this.#trailing > 0) {
      const skipped = Math.min(this.#trailing, bytes.length - position);
      this.#trailing -= skipped;
      return position + skipped;
    }
    return this.#readLine(bytes, position);
  }

  #fill(pending: PendingMessage, bytes: Uint8Array, position: number): number {
    const count = Math.min(pending.totalBytes - pending.filled, bytes.length - position);
    const isInPlace =
      bytes.buffer === pending.buffer.buffer &&
      bytes.byteOffset + position === pending.buffer.byteOffset + pending.filled;
    if (!isInPlace) pending.buffer.set(bytes.subarray(position, position + count), pending.filled);
    pending.filled += count;
    if (pending.filled === pending.totalBytes) this.#deliver(pending);
    return position + count;
  }

  #deliver(pending: PendingMessage): void {
    this.#pending = undefined;
    this.#trailing = 2;
    this.#previousBytes = pending.totalBytes;
    const { subject, reply, subscriptionId, headerBytes, totalBytes, buffer } = pending;
    this.events.message(subscriptionId, {
      subject,
      reply,
      headers: buffer.subarray(0, headerBytes),
      payload: buffer.subarray(headerBytes, totalBytes),
      release: () => this.#giveBack(buffer),
    });
  }

  #readLine(bytes: Uint8Array, position: number): number {
    const end = bytes.indexOf(newline, position);
    const piece = bytes.subarray(position, end < 0 ? bytes.length : end + 1);
    if (this.#line.length + piece.length > maxLineBytes)
      throw new Error(`nats: a protocol line is longer than ${maxLineBytes} bytes`);
    if (end < 0) {
      this.#line = Buffer.concat([this.#line, piece]);
      return bytes.length;
    }
    const line =
      this.#line.length > 0
        ? Buffer.concat([this.#line, piece])
        : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    this.#line = Buffer.alloc(0);
    this.#command(line.toString('latin1').trimEnd());
    return end + 1;
  }

  #command(line: string): void {
    if (line.startsWith('MSG ')) return this.#begin(line.split(' '), false);
    if (line.startsWith('HMSG ')) return this.#begin(line.split(' '), true);
    if (line.startsWith('INFO '))
      return this.events.info(Buffer.from(line.slice(5), 'latin1').toString('utf8'));
    if (line === 'PING') return this.events.ping();
    if (line === 'PONG') return this.events.pong();
    if (line.startsWith('-ERR')) return this.events.error(line.slice(4).trim());
    if (line !== '+OK') throw new Error(`nats: unknown protocol line '${line.slice(0, 40)}'`);
  }

  /** `MSG subject sid [reply] bytes` or `HMSG subject sid [reply] headerBytes totalBytes`. */
  #begin(fields: string[], withHeaders: boolean): void {
    const totalBytes = Number(fields.at(-1));
    const headerBytes = withHeaders ? Number(fields.at(-2)) : 0;
    const hasReply = fields.length === (withHeaders ? 6 : 5);
    const subscriptionId = Number(fields[2]);
    if (![totalBytes, headerBytes, subscriptionId].every(Number.isInteger))
      throw new Error('nats: malformed message line');
    const buffer =
      totalBytes >= pooledFromBytes
        ? this.pool.acquire(totalBytes)
        : Buffer.allocUnsafe(totalBytes);
    const pending = {
      subject: at(fields, 1),
      subscriptionId,
      reply: hasReply ? fields[3] : undefined,
      headerBytes,
      totalBytes,
      buffer,
      filled: 0,
    };
    if (totalBytes === 0) this.#deliver(pending);
    else this.#pending = pending;
  }

  #giveBack(buffer: Buffer): void {
    if (buffer.length >= pooledFromBytes) this.pool.release(buffer);
  }
}
