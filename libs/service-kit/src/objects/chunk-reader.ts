import { randomUUID } from 'node:crypto';

import { nanos } from '@nats-io/transport-node';

import { ServiceKitError } from '../errors.js';
import type { Lane } from '../nats/lane.js';
import type { LaneMessage } from '../nats/lane-parser.js';
import { chunkIndexOf } from './chunk-id.js';
import { createDigest, type DigestAlgorithm, digestText } from './digest.js';
import { LiveChunks } from './live-chunks.js';

/** Takes an object's bytes in order. */
export interface ObjectSink {
  /** `bytes` belong to the bucket again once this has returned or resolved. */
  write(offsetBytes: number, bytes: Uint8Array): Promise<void> | void;
}

export interface ReadSettings {
  readonly lane: Lane;
  readonly stream: string;
  readonly subject: string;
  /** For messages. */
  readonly name: string;
  readonly byteLength: number;
  /** How many there are, or of how many bytes each but the last is while a writer of ours still stores them. */
  readonly chunks: { readonly count: number } | { readonly eachBytes: number };
  /** Where to begin; default: with the first chunk. */
  readonly from?: StartPosition | undefined;
  readonly windowChunks: number;
  readonly stallTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly algorithm: DigestAlgorithm;
}

export interface StartPosition {
  /** The sink gets the bytes from here on; it lies in the first chunk that is read. */
  readonly offsetBytes: number;
  readonly skippedChunks: number;
  /** Of every chunk but the last. */
  readonly chunkBytes: number;
  /** Stream sequence: above the skipped chunks, not above the next. */
  readonly sequence: number;
}

interface ConsumerAnswer {
  readonly name?: string;
  readonly num_pending?: number;
  readonly error?: { readonly code: number; readonly err_code?: number };
}

/** JetStream's error code. */
const streamNotFound = 10059;
const tickMs = 100;
/** Silence after which the consumer is made anew: the server forgets it when it restarts. */
const renewMs = 2000;
const requestExpiresMs = 30_000;
/** Chunks that may wait for the sink as they came past on their way into the store. */
const liveChunks = 16;
/**
 * How far behind a writer a reader of the store stays: a server block of 8 MiB and a chunk. A block that is read while it is written costs the
 * server several copies of it.
 */
const trailingBytes = 9 * 1024 * 1024;
/** A writer that stores nothing for so long is slow, and what it has stored is read. */
const slowWriterMs = 250;
const pollMs = 25;
const inactiveMs = 60_000;

/**
 * Reads chunks in order through a pull consumer; asks for more only as the sink takes them. What is still on its way into the store
 * is taken as it passes, and only what was missed is read from there.
 * @returns the digest of all bytes that were read
 * @throws ServiceKitError OBJECT_STALLED, OBJECT_CORRUPT; what the sink throws
 */
export async function readChunks(settings: ReadSettings, sink: ObjectSink): Promise<string> {
  const reader = new ChunkReader(settings);
  try {
    return await reader.run(sink);
  } finally {
    reader.close();
  }
}

class ChunkReader {
  readonly #queue: LaneMessage[] = [];
  readonly #inbox: string;
  readonly #stop: (() => void)[];
  #generation = 0;
  #unsubscribe: () => void = () => {};
  #consumer: string | undefined;
  #attempt = 0;
  #requested = 0;
  /** The last chunk that came from the store. */
  #anchor: { readonly index: number; readonly sequence: number } | undefined;
  #live: LiveChunks | undefined;
  #lastConsumerSequence = 0;
  /** Of the chunk that the consumer delivers next, as far as is known. */
  #consumerIndex = 0;
  #receivedChunks = 0;
  #receivedBytes = 0;
  /** Chunks that are known to be stored. */
  #storedChunks = 0;
  #storedMs = performance.now();
  #heardMs = performance.now();
  #progressMs = performance.now();
  #wake: (() => void) | undefined;
  #error: Error | undefined;

  constructor(private readonly settings: ReadSettings) {
    const { lane, signal, name, from } = settings;
    if (from) this.#anchor = { index: from.skippedChunks - 1, sequence: from.sequence - 1 };
    this.#receivedChunks = from?.skippedChunks ?? 0;
    this.#receivedBytes = this.#receivedChunks * (from?.chunkBytes ?? 0);
    this.#inbox = `${lane.inbox}.${randomUUID()}`;
    const timer = setInterval(() => this.#tick(), 'count' in settings.chunks ? tickMs : pollMs);
    const abort = (): void => this.#fail(new ServiceKitError('OBJECT_STALLED', `objects: reading ${name} was aborted`, { cause: signal?.reason }));
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    this.#stop = [
      lane.subscribe(`${this.#inbox}.create.*`, (message) => this.#answered(message)),
      lane.subscribe(`${this.#inbox}.info.*`, (message) => this.#informed(message)),
      lane.onReconnect(() => { this.#heardMs = -Infinity; }),
      () => clearInterval(timer),
      () => signal?.removeEventListener('abort', abort),
    ];
  }

  async run(sink: ObjectSink): Promise<string> {
    const { algorithm } = this.settings;
    const hash = createDigest(algorithm);
    let position = this.#receivedBytes;
    if (position < this.settings.byteLength) this.#start();
    while (position < this.settings.byteLength) {
      const message = await this.#next();
      try {
        if (position + message.payload.length > this.settings.byteLength) throw new ServiceKitError('OBJECT_CORRUPT', `objects: ${this.settings.name} has more than the ${this.settings.byteLength} bytes that it should have`);
        const skipped = this.#skippedBytes(position, message.payload.length);
        const writing = sink.write(position + skipped, message.payload.subarray(skipped));
        hash.update(message.payload);
        await writing;
        position += message.payload.length;
      } finally {
        message.release();
      }
      this.#progressMs = performance.now();
      this.#request();
    }
    return digestText(algorithm, hash.digest());
  }

  /** Bytes of a chunk that lie before the start. @throws ServiceKitError OBJECT_CORRUPT when it is no chunk that can lie at this position */
  #skippedBytes(position: number, chunkLength: number): number {
    const { from, byteLength, name } = this.settings;
    if (!from || position !== from.skippedChunks * from.chunkBytes) return 0;
    const expected = Math.min(from.chunkBytes, byteLength - position);
    if (chunkLength !== expected) throw new ServiceKitError('OBJECT_CORRUPT', `objects: ${name} has a chunk of ${chunkLength} bytes at ${position}, ${expected} were stored`);
    return from.offsetBytes - position;
  }

  close(): void {
    this.#live?.end();
    this.#dropConsumer();
    for (const stop of this.#stop) stop();
    for (const message of this.#queue.splice(0)) message.release();
  }

  async #next(): Promise<LaneMessage> {
    for (;;) {
      if (this.#error) throw this.#error;
      const message = this.#queue.shift() ?? this.#takeLive();
      if (message) return message;
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }

  #start(): void {
    const { lane, subject, chunks } = this.settings;
    if ('eachBytes' in chunks) this.#live = new LiveChunks(lane, subject, liveChunks, () => this.#passed());
    this.#open();
  }

  #takeLive(): LaneMessage | undefined {
    const message = this.#live?.take(this.#receivedChunks);
    if (message) this.#count(message);
    return message;
  }

  /** A chunk came past, or none will any more. */
  #passed(): void {
    this.#progressMs = performance.now();
    if (this.#live?.first === undefined) this.#open();
    else this.#heardMs = this.#progressMs;
    this.#request();
    this.#wakeUp();
  }

  /** Asks for a consumer that starts after the last chunk that has arrived. Without an answer the next tick asks again. */
  #open(): void {
    const { lane, stream, subject } = this.settings;
    this.#dropConsumer();
    this.#heardMs = performance.now();
    this.#attempt += 1;
    this.#consumerIndex = this.#receivedChunks;
    // Chunks lie one after another, with those of other objects between them.
    const start = this.#anchor ? this.#anchor.sequence + this.#receivedChunks - this.#anchor.index : 1;
    const config = {
      filter_subject: subject,
      ack_policy: 'none',
      replay_policy: 'instant',
      inactive_threshold: nanos(inactiveMs),
      mem_storage: true,
      ...(start > 1 ? { deliver_policy: 'by_start_sequence', opt_start_seq: start } : { deliver_policy: 'all' }),
    };
    lane.publish(`$JS.API.CONSUMER.CREATE.${stream}`, [Buffer.from(JSON.stringify({ stream_name: stream, config }))], { reply: `${this.#inbox}.create.${this.#attempt}` });
  }

  #dropConsumer(): void {
    this.#unsubscribe();
    if (this.#consumer) this.settings.lane.publish(`$JS.API.CONSUMER.DELETE.${this.settings.stream}.${this.#consumer}`, []);
    this.#consumer = undefined;
    this.#requested = 0;
  }

  #answered(message: LaneMessage): void {
    const isLatest = message.subject === `${this.#inbox}.create.${this.#attempt}`;
    const answer = message.payload.length > 0 ? (JSON.parse(Buffer.from(message.payload).toString('utf8')) as ConsumerAnswer) : {};
    message.release();
    if (answer.error?.err_code === streamNotFound) return this.#fail(new ServiceKitError('OBJECT_NOT_FOUND', `objects: ${this.settings.name}: there is no stream ${this.settings.stream}`));
    if (isLatest && answer.name) this.#opened(answer.name, answer.num_pending ?? 0);
  }

  #opened(consumer: string, pendingChunks: number): void {
    const { chunks, name } = this.settings;
    if ('count' in chunks && this.#consumerIndex + pendingChunks < chunks.count) {
      return this.#fail(new ServiceKitError('OBJECT_CORRUPT', `objects: ${name} has ${this.#consumerIndex + pendingChunks} of its ${chunks.count} chunks`));
    }
    this.#pending(pendingChunks);
    this.#consumer = consumer;
    this.#lastConsumerSequence = 0;
    this.#subscribe();
    this.#request();
  }

  /** Chunks arrive under their own subject, so that only a subscription of its own tells a consumer's from its predecessor's. */
  #subscribe(): void {
    this.#generation += 1;
    this.#unsubscribe = this.settings.lane.subscribe(`${this.#inbox}.${this.#generation}`, (message) => this.#received(message));
  }

  /** Tops the window up when half of it is free, or with all that may be read. */
  #request(): void {
    const { lane, stream, windowChunks } = this.settings;
    const readable = this.#readableChunks();
    const batch = Math.min(readable, windowChunks - this.#requested - this.#queue.length);
    if (!this.#consumer || batch < Math.max(1, Math.min(readable, windowChunks >> 1))) return;
    this.#requested += batch;
    lane.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${this.#consumer}`, [Buffer.from(JSON.stringify({ batch, expires: nanos(requestExpiresMs) }))], { reply: `${this.#inbox}.${this.#generation}` });
  }

  /** Chunks that are not asked for and may be. */
  #readableChunks(): number {
    const { chunks, byteLength } = this.settings;
    if ('count' in chunks) return Infinity;
    // Only what lies before those that come past.
    if (this.#live?.first !== undefined) return this.#live.first - this.#receivedChunks - this.#requested;
    const pending = this.#storedChunks - this.#receivedChunks;
    const isComplete = this.#receivedBytes + pending * chunks.eachBytes >= byteLength;
    const isSlow = performance.now() - this.#storedMs > slowWriterMs;
    return pending - this.#requested - (isComplete || isSlow ? 0 : Math.ceil(trailingBytes / chunks.eachBytes));
  }

  /** @param chunks that are stored and that the consumer has not delivered */
  #pending(chunks: number): void {
    const stored = this.#consumerIndex + chunks;
    if (stored <= this.#storedChunks) return;
    this.#storedChunks = stored;
    this.#storedMs = performance.now();
    this.#progressMs = this.#storedMs;
  }

  #askForPending(): void {
    const { lane, stream } = this.settings;
    lane.publish(`$JS.API.CONSUMER.INFO.${stream}.${this.#consumer}`, [], { reply: `${this.#inbox}.info.${this.#generation}` });
  }

  #informed(message: LaneMessage): void {
    const isLatest = message.subject === `${this.#inbox}.info.${this.#generation}`;
    const answer = message.payload.length > 0 ? (JSON.parse(Buffer.from(message.payload).toString('utf8')) as ConsumerAnswer) : {};
    message.release();
    // What was asked for and is on its way would be counted as neither.
    if (!isLatest || answer.num_pending === undefined || this.#requested > 0) return;
    this.#heardMs = performance.now();
    this.#pending(answer.num_pending);
    this.#request();
  }

  #received(message: LaneMessage): void {
    const place = message.reply === undefined ? undefined : sequencesOf(message.reply);
    if (!place) return this.#status(message);
    if (place.consumer !== this.#lastConsumerSequence + 1) {
      // One before this was lost with a connection.
      message.release();
      return this.#open();
    }
    this.#heardMs = performance.now();
    this.#progressMs = this.#heardMs;
    this.#lastConsumerSequence = place.consumer;
    this.#requested -= 1;
    const index = this.#indexOf(message);
    this.#anchor = { index, sequence: place.stream };
    this.#consumerIndex = index + 1;
    if (index < this.#receivedChunks) return this.#passedBefore(message, index);
    this.#count(message);
    this.#pending(place.pending);
    this.#queue.push(message);
    this.#wakeUp();
  }

  #indexOf({ headers }: LaneMessage): number {
    return ('eachBytes' in this.settings.chunks ? chunkIndexOf(headers) : undefined) ?? this.#receivedChunks;
  }

  /** The consumer began, or still is, before what came past. */
  #passedBefore(message: LaneMessage, index: number): void {
    message.release();
    if (this.#receivedChunks - index > this.settings.windowChunks) this.#open();
    else this.#request();
  }

  #count(message: LaneMessage): void {
    this.#receivedChunks += 1;
    this.#receivedBytes += message.payload.length;
  }

  /** The server ends a request: it expired, or the consumer is gone. What it still owed is asked for again. */
  #status(message: LaneMessage): void {
    message.release();
    this.#requested = 0;
    this.#heardMs = -Infinity;
  }

  #tick(): void {
    const { stallTimeoutMs, name, byteLength } = this.settings;
    const now = performance.now();
    const isWaiting = this.#wake !== undefined;
    if (!isWaiting) this.#progressMs = now;
    else if (now - this.#progressMs > stallTimeoutMs) {
      return this.#fail(new ServiceKitError('OBJECT_STALLED', `objects: ${name}: no chunk for ${stallTimeoutMs} ms, ${this.#receivedChunks} chunks of ${byteLength} bytes came`));
    }
    if (isWaiting && now - this.#heardMs > renewMs) this.#open();
    else if ('eachBytes' in this.settings.chunks && this.#consumer && this.#requested === 0 && this.#live?.first === undefined) this.#askForPending();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** `$JS.ACK.stream.consumer.delivered.streamSequence.consumerSequence.time.pending`, newer servers with domain and account first. */
function sequencesOf(reply: string): { stream: number; consumer: number; pending: number } | undefined {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const shift = tokens.length >= 11 ? 2 : 0;
  return { stream: Number(tokens[5 + shift]), consumer: Number(tokens[6 + shift]), pending: Number(tokens[8 + shift]) };
}
