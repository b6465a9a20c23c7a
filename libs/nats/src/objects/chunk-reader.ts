import { createHash } from 'node:crypto';

import type { LaneMessage } from '../connection/lane-parser.js';
import type { Lane } from '../connection/lane.js';
import { NatsError } from '../errors.js';
import { ChunkConsumer } from './chunk-consumer.js';
import { digestText } from './digest.js';

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
  /** How many there are. */
  readonly chunks: number;
  /** Where to begin; default: with the first chunk. */
  readonly from?: StartPosition | undefined;
  readonly windowChunks: number;
  readonly stallTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
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
/**
 * Reads chunks in order through a pull consumer; asks for more only as the sink takes them.
 * @returns the digest of all bytes that were read
 * @throws NatsError OBJECT_STALLED, OBJECT_CORRUPT; what the sink throws
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
  readonly #timer: NodeJS.Timeout;
  readonly #abort: () => void;
  /** Stream sequence of the last chunk that came. */
  #lastSequence: number;
  #receivedChunks: number;
  /** Chunks that had come when the consumer was asked for. */
  #openedAt = 0;
  /** Bytes before the first chunk that is read. */
  readonly #startBytes: number;
  #progressMs = performance.now();
  #wake: (() => void) | undefined;
  #error: Error | undefined;

  constructor(private readonly settings: ReadSettings) {
    const { signal, name, from } = settings;
    this.#lastSequence = from ? from.sequence - 1 : 0;
    this.#receivedChunks = from?.skippedChunks ?? 0;
    this.#startBytes = this.#receivedChunks * (from?.chunkBytes ?? 0);
    this.#abort = () =>
      this.#fail(
        new NatsError('OBJECT_STALLED', `objects: reading ${name} was aborted`, {
          cause: signal?.reason,
        }),
      );
    signal?.addEventListener('abort', this.#abort, { once: true });
    if (signal?.aborted) this.#abort();
    this.#consumer = new ChunkConsumer(settings, {
      opened: (pending) => this.#opened(pending),
      chunk: (message, sequence) => this.#received(message, sequence),
      gap: () => this.#open(),
      streamMissing: () =>
        this.#fail(
          new NatsError(
            'OBJECT_NOT_FOUND',
            `objects: ${name}: there is no stream ${settings.stream}`,
          ),
        ),
    });
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  async run(sink: ObjectSink): Promise<string> {
    const hash = createHash('sha256');
    let position = this.#startBytes;
    if (position < this.settings.byteLength) this.#open();
    while (position < this.settings.byteLength) {
      const message = await this.#next();
      try {
        if (position + message.payload.length > this.settings.byteLength)
          throw new NatsError(
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
    return digestText(hash.digest());
  }

  close(): void {
    clearInterval(this.#timer);
    this.settings.signal?.removeEventListener('abort', this.#abort);
    this.#consumer.close();
    for (const message of this.#queue.splice(0)) message.release();
  }

  /**
   * Bytes of a chunk that lie before the start.
   * @throws NatsError OBJECT_CORRUPT when it is no chunk that can lie at this position
   */
  #skippedBytes(position: number, chunkLength: number): number {
    const { from, byteLength, name } = this.settings;
    if (!from || position !== from.skippedChunks * from.chunkBytes) return 0;
    const expected = Math.min(from.chunkBytes, byteLength - position);
    if (chunkLength !== expected)
      throw new NatsError(
        'OBJECT_CORRUPT',
        `objects: ${name} has a chunk of ${chunkLength} bytes at ${position}, ${expected} were stored`,
      );
    return from.offsetBytes - position;
  }

  async #next(): Promise<LaneMessage> {
    for (;;) {
      if (this.#error) throw this.#error;
      const message = this.#queue.shift();
      if (message) return message;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /**
   * Asks for a consumer that starts after the last chunk that has arrived. Without an answer the
   * next tick asks again.
   */
  #open(): void {
    this.#openedAt = this.#receivedChunks;
    this.#consumer.open(this.#lastSequence + 1);
  }

  #opened(pending: number): void {
    const { chunks, name } = this.settings;
    const found = this.#openedAt + pending;
    if (found < chunks)
      return this.#fail(
        new NatsError('OBJECT_CORRUPT', `objects: ${name} has ${found} of its ${chunks} chunks`),
      );
    this.#request();
  }

  /** Tops the window up when half of it is free. */
  #request(): void {
    const { windowChunks } = this.settings;
    const batch = windowChunks - this.#consumer.requested - this.#queue.length;
    if (this.#consumer.isOpen && batch >= Math.max(1, windowChunks >> 1))
      this.#consumer.request(batch);
  }

  #received(message: LaneMessage, sequence: number): void {
    this.#progressMs = performance.now();
    this.#lastSequence = sequence;
    this.#receivedChunks += 1;
    this.#queue.push(message);
    this.#wakeUp();
  }

  #tick(): void {
    const { stallTimeoutMs, name, byteLength } = this.settings;
    const now = performance.now();
    const isWaiting = this.#wake !== undefined;
    if (!isWaiting) this.#progressMs = now;
    else if (now - this.#progressMs > stallTimeoutMs) {
      return this.#fail(
        new NatsError(
          'OBJECT_STALLED',
          `objects: ${name}: no chunk for ${stallTimeoutMs} ms, ${this.#receivedChunks} chunks of ${byteLength} bytes came`,
        ),
      );
    }
    if (isWaiting && this.#consumer.silentMs > renewMs) this.#open();
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
