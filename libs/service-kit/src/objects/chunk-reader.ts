import { ServiceKitError } from '../errors.js';
import type { LaneMessage } from '../nats/lane-parser.js';
import type { Lane } from '../nats/lane.js';
import { ChunkConsumer, type StreamPlace } from './chunk-consumer.js';
import { chunkIndexOf } from './chunk-id.js';
import { createDigest, digestText, type DigestAlgorithm } from './digest.js';
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
  /**
   * How many there are, or of how many bytes each but the last is while a writer of ours still
   * stores them.
   */
  readonly chunks: { readonly count: number } | { readonly eachBytes: number };
  /** Where to begin; default: with the first chunk. */
  readonly from?: StartPosition | undefined;
  readonly windowChunks: number;
  readonly stallTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly algorithm: DigestAlgorithm;
}

interface StartPosition {
  /** The sink gets the bytes from here on; it lies in the first chunk that is read. */
  readonly offsetBytes: number;
  readonly skippedChunks: number;
  /** Of every chunk but the last. */
  readonly chunkBytes: number;
  /** Stream sequence: above the skipped chunks, not above the next. */
  readonly sequence: number;
}

const tickMs = 100;
/** Silence after which the consumer is made anew: the server forgets it when it restarts. */
const renewMs = 2000;
/** Chunks that may wait for the sink as they came past on their way into the store. */
const liveChunks = 16;
/**
 * How far behind a writer a reader of the store stays: a server block of 8 MiB and a chunk. A block
 * that is read while it is written costs the server several copies of it.
 */
const trailingBytes = 9 * 1024 * 1024;
/** A writer that stores nothing for so long is slow, and what it has stored is read. */
const slowWriterMs = 250;
const pollMs = 25;

/**
 * Reads chunks in order through a pull consumer; asks for more only as the sink takes them. What is
 * still on its way into the store is taken as it passes, and only what was missed is read from
 * there.
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
  readonly #consumer: ChunkConsumer;
  readonly #live: LiveChunks | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #abort: () => void;
  /** The last chunk that came from the store. */
  #anchor: { readonly index: number; readonly sequence: number };
  /** Of the chunk that the consumer delivers next, as far as is known. */
  #consumerIndex = 0;
  #receivedChunks: number;
  #receivedBytes: number;
  /** Chunks that are known to be stored. */
  #storedChunks = 0;
  #storedMs = performance.now();
  #progressMs = performance.now();
  #wake: (() => void) | undefined;
  #error: Error | undefined;

  constructor(private readonly settings: ReadSettings) {
    const { lane, subject, signal, name, chunks, from } = settings;
    this.#anchor = from
      ? { index: from.skippedChunks - 1, sequence: from.sequence - 1 }
      : { index: -1, sequence: 0 };
    this.#receivedChunks = from?.skippedChunks ?? 0;
    this.#receivedBytes = this.#receivedChunks * (from?.chunkBytes ?? 0);
    this.#abort = () =>
      this.#fail(
        new ServiceKitError('OBJECT_STALLED', `objects: reading ${name} was aborted`, {
          cause: signal?.reason,
        }),
      );
    signal?.addEventListener('abort', this.#abort, { once: true });
    if (signal?.aborted) this.#abort();
    this.#consumer = new ChunkConsumer(settings, {
      opened: (pending) => this.#opened(pending),
      chunk: (message, place) => this.#received(message, place),
      informed: (pending) => {
        this.#pending(pending);
        this.#request();
      },
      gap: () => this.#open(),
      streamMissing: () =>
        this.#fail(
          new ServiceKitError(
            'OBJECT_NOT_FOUND',
            `objects: ${name}: there is no stream ${settings.stream}`,
          ),
        ),
    });
    if ('eachBytes' in chunks)
      this.#live = new LiveChunks(lane, subject, liveChunks, () => this.#passed());
    this.#timer = setInterval(() => this.#tick(), this.#live ? pollMs : tickMs);
  }

  async run(sink: ObjectSink): Promise<string> {
    const { algorithm } = this.settings;
    const hash = createDigest(algorithm);
    let position = this.#receivedBytes;
    if (position < this.settings.byteLength) this.#open();
    while (position < this.settings.byteLength) {
      const message = await this.#next();
      try {
        if (position + message.payload.length > this.settings.byteLength)
          throw new ServiceKitError(
            'OBJECT_CORRUPT',
            `objects: ${this.settings.name} has more than the ${this.settings.byteLength} bytes that it should have`,
          );
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

  close(): void {
    clearInterval(this.#timer);
    this.settings.signal?.removeEventListener('abort', this.#abort);
    this.#live?.end();
    this.#consumer.close();
    for (const message of this.#queue.splice(0)) message.release();
  }

  /**
   * Bytes of a chunk that lie before the start.
   * @throws ServiceKitError OBJECT_CORRUPT when it is no chunk that can lie at this position
   */
  #skippedBytes(position: number, chunkLength: number): number {
    const { from, byteLength, name } = this.settings;
    if (!from || position !== from.skippedChunks * from.chunkBytes) return 0;
    const expected = Math.min(from.chunkBytes, byteLength - position);
    if (chunkLength !== expected)
      throw new ServiceKitError(
        'OBJECT_CORRUPT',
        `objects: ${name} has a chunk of ${chunkLength} bytes at ${position}, ${expected} were stored`,
      );
    return from.offsetBytes - position;
  }

  async #next(): Promise<LaneMessage> {
    for (;;) {
      if (this.#error) throw this.#error;
      const message = this.#queue.shift() ?? this.#takeLive();
      if (message) return message;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
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
    this.#request();
    this.#wakeUp();
  }

  /**
   * Asks for a consumer that starts after the last chunk that has arrived. Without an answer the
   * next tick asks again.
   */
  #open(): void {
    this.#consumerIndex = this.#receivedChunks;
    // Chunks lie one after another, with those of other objects between them: the next is not
    // before this.
    this.#consumer.open(this.#anchor.sequence + this.#receivedChunks - this.#anchor.index);
  }

  #opened(pending: number): void {
    const { chunks, name } = this.settings;
    const found = this.#consumerIndex + pending;
    if ('count' in chunks && found < chunks.count)
      return this.#fail(
        new ServiceKitError(
          'OBJECT_CORRUPT',
          `objects: ${name} has ${found} of its ${chunks.count} chunks`,
        ),
      );
    this.#pending(pending);
    this.#request();
  }

  /** Tops the window up when half of it is free, or with all that may be read. */
  #request(): void {
    const { windowChunks } = this.settings;
    const readable = this.#readableChunks();
    const batch = Math.min(readable, windowChunks - this.#consumer.requested - this.#queue.length);
    if (this.#consumer.isOpen && batch >= Math.max(1, Math.min(readable, windowChunks >> 1)))
      this.#consumer.request(batch);
  }

  /** Chunks that are not asked for and may be. */
  #readableChunks(): number {
    const { chunks, byteLength } = this.settings;
    if ('count' in chunks) return Infinity;
    // Only what lies before those that come past.
    if (this.#live?.first !== undefined)
      return this.#live.first - this.#receivedChunks - this.#consumer.requested;
    const pending = this.#storedChunks - this.#receivedChunks;
    const isComplete = this.#receivedBytes + pending * chunks.eachBytes >= byteLength;
    const isSlow = performance.now() - this.#storedMs > slowWriterMs;
    return (
      pending -
      this.#consumer.requested -
      (isComplete || isSlow ? 0 : Math.ceil(trailingBytes / chunks.eachBytes))
    );
  }

  /** @param chunks that are stored and that the consumer has not delivered */
  #pending(chunks: number): void {
    const stored = this.#consumerIndex + chunks;
    if (stored <= this.#storedChunks) return;
    this.#storedChunks = stored;
    this.#storedMs = performance.now();
    this.#progressMs = this.#storedMs;
  }

  #received(message: LaneMessage, { sequence, pending }: StreamPlace): void {
    this.#progressMs = performance.now();
    const index = (this.#live && chunkIndexOf(message.headers)) ?? this.#receivedChunks;
    this.#anchor = { index, sequence };
    this.#consumerIndex = index + 1;
    if (index < this.#receivedChunks) return this.#passedBefore(message, index);
    this.#count(message);
    this.#pending(pending);
    this.#queue.push(message);
    this.#wakeUp();
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

  #tick(): void {
    const { stallTimeoutMs, name, byteLength } = this.settings;
    const now = performance.now();
    const isWaiting = this.#wake !== undefined;
    if (!isWaiting) this.#progressMs = now;
    else if (now - this.#progressMs > stallTimeoutMs) {
      return this.#fail(
        new ServiceKitError(
          'OBJECT_STALLED',
          `objects: ${name}: no chunk for ${stallTimeoutMs} ms, ${this.#receivedChunks} chunks of ${byteLength} bytes came`,
        ),
      );
    }
    // The next chunk is on its way past: the store is not needed.
    if (this.#live?.first === this.#receivedChunks) return;
    if (isWaiting && this.#consumer.silentMs > renewMs) this.#open();
    else if (this.#live && this.#consumer.isOpen && this.#consumer.requested === 0)
      this.#consumer.askForPending();
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
