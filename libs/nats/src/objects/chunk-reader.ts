import { createHash } from 'node:crypto';
import { Mailbox, systemClock, type Clock } from '@emloc/time';

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
  readonly clock?: Clock;
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
  const reader = new ChunkReader(settings, sink);
  try {
    return await reader.run();
  } finally {
    reader.close();
  }
}

interface Chunk {
  readonly message: LaneMessage;
  /** In the stream. */
  readonly sequence: number;
}

/** What the consumer tells. */
type ConsumerEvent =
  | { readonly kind: 'opened'; readonly pending: number }
  | { readonly kind: 'chunk'; readonly chunk: Chunk }
  | { readonly kind: 'gap' };

type ReaderState =
  /** A consumer is asked for that begins after the last chunk that was read. */
  | { readonly kind: 'opening'; readonly sinceMs: number }
  /** The sink waits for a chunk. */
  | { readonly kind: 'waiting'; readonly sinceMs: number }
  /** The sink takes a chunk. */
  | { readonly kind: 'reading'; readonly chunk: Chunk }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'done' };

class ChunkReader {
  readonly #events: Mailbox<ConsumerEvent>;
  readonly #consumer: ChunkConsumer;
  readonly #hash = createHash('sha256');
  readonly #clock: Clock;
  #state: ReaderState;
  /** The last chunk's place in the stream, and how much lies before the next. */
  #position: { readonly sequence: number; readonly chunks: number; readonly bytes: number };

  constructor(
    private readonly settings: ReadSettings,
    private readonly sink: ObjectSink,
  ) {
    const { byteLength, from, signal, clock = systemClock } = settings;
    const skippedChunks = from?.skippedChunks ?? 0;
    this.#position = {
      sequence: from ? from.sequence - 1 : 0,
      chunks: skippedChunks,
      bytes: skippedChunks * (from?.chunkBytes ?? 0),
    };
    this.#clock = clock;
    this.#events = new Mailbox(clock);
    this.#state = this.#position.bytes < byteLength ? opening(clock.now()) : { kind: 'done' };
    signal?.addEventListener('abort', this.#abort, { once: true });
    if (signal?.aborted) this.#abort();
    this.#consumer = this.#createConsumer();
  }

  /** @returns the digest */
  async run(): Promise<string> {
    for (;;) {
      switch (this.#state.kind) {
        case 'done':
          return digestText(this.#hash.digest());
        case 'failed':
          throw this.#state.error;
        default:
          this.#state = await this.#next(this.#state).catch(failed);
      }
    }
  }

  close(): void {
    this.settings.signal?.removeEventListener('abort', this.#abort);
    this.#consumer.close();
    this.#discardEvents();
  }

  #next(
    state: Extract<ReaderState, { kind: 'opening' | 'waiting' | 'reading' }>,
  ): Promise<ReaderState> {
    switch (state.kind) {
      case 'opening':
        return this.#open(state);
      case 'waiting':
        return this.#wait(state);
      case 'reading':
        return this.#read(state);
    }
  }

  /** Without an answer it is asked for again. */
  async #open({ sinceMs }: { readonly sinceMs: number }): Promise<ReaderState> {
    // What the consumer before it has still told is of no use: it tells nothing from now on.
    this.#discardEvents();
    this.#consumer.open(this.#position.sequence + 1);
    while (this.#consumer.silentMs <= renewMs) {
      const taken = await this.#events.take(tickMs);
      if (taken.kind === 'item' && taken.item.kind === 'opened')
        return this.#opened(taken.item.pending, sinceMs);
      if (this.#isStalled(sinceMs)) return this.#stalled();
    }
    return opening(sinceMs);
  }

  #opened(pending: number, sinceMs: number): ReaderState {
    const { chunks, name } = this.settings;
    const found = this.#position.chunks + pending;
    if (found < chunks)
      return failed(
        new NatsError('OBJECT_CORRUPT', `objects: ${name} has ${found} of its ${chunks} chunks`),
      );
    this.#request();
    return { kind: 'waiting', sinceMs };
  }

  async #wait({ sinceMs }: { readonly sinceMs: number }): Promise<ReaderState> {
    const taken = await this.#events.take(tickMs);
    if (taken.kind === 'item' && taken.item.kind === 'chunk')
      return { kind: 'reading', chunk: taken.item.chunk };
    if (this.#isStalled(sinceMs)) return this.#stalled();
    const isLost = taken.kind === 'item' || this.#consumer.silentMs > renewMs;
    return isLost ? opening(sinceMs) : { kind: 'waiting', sinceMs };
  }

  async #read({ chunk }: { readonly chunk: Chunk }): Promise<ReaderState> {
    const { message, sequence } = chunk;
    const { chunks, bytes } = this.#position;
    const byteLength = message.payload.length;
    try {
      this.#assertFits(byteLength);
      const skipped = this.#skippedBytes(byteLength);
      const writing = this.sink.write(bytes + skipped, message.payload.subarray(skipped));
      this.#hash.update(message.payload);
      await writing;
    } finally {
      message.release();
    }
    this.#position = { sequence, chunks: chunks + 1, bytes: bytes + byteLength };
    this.#request();
    return this.#position.bytes < this.settings.byteLength
      ? { kind: 'waiting', sinceMs: this.#clock.now() }
      : { kind: 'done' };
  }

  /** @throws NatsError OBJECT_CORRUPT */
  #assertFits(chunkLength: number): void {
    const { byteLength, name } = this.settings;
    if (this.#position.bytes + chunkLength > byteLength)
      throw new NatsError(
        'OBJECT_CORRUPT',
        `objects: ${name} has more than the ${byteLength} bytes that it should have`,
      );
  }

  /**
   * Bytes of the next chunk that lie before the start.
   * @throws NatsError OBJECT_CORRUPT when it is no chunk that can lie at this position
   */
  #skippedBytes(chunkLength: number): number {
    const { from, byteLength, name } = this.settings;
    const { bytes } = this.#position;
    if (!from || bytes !== from.skippedChunks * from.chunkBytes) return 0;
    const expected = Math.min(from.chunkBytes, byteLength - bytes);
    if (chunkLength !== expected)
      throw new NatsError(
        'OBJECT_CORRUPT',
        `objects: ${name} has a chunk of ${chunkLength} bytes at ${bytes}, ${expected} were stored`,
      );
    return from.offsetBytes - bytes;
  }

  /** Tops the window up when half of it is free. */
  #request(): void {
    const { windowChunks } = this.settings;
    const batch = windowChunks - this.#consumer.requested - this.#events.size;
    if (this.#consumer.isOpen && batch >= Math.max(1, windowChunks >> 1))
      this.#consumer.request(batch);
  }

  #isStalled(sinceMs: number): boolean {
    return this.#clock.now() - sinceMs > this.settings.stallTimeoutMs;
  }

  #stalled(): ReaderState {
    const { stallTimeoutMs, name, byteLength } = this.settings;
    return failed(
      new NatsError(
        'OBJECT_STALLED',
        `objects: ${name}: no chunk for ${stallTimeoutMs} ms, ${this.#position.chunks} chunks of ${byteLength} bytes came`,
      ),
    );
  }

  #createConsumer(): ChunkConsumer {
    const { name, stream } = this.settings;
    return new ChunkConsumer(this.settings, {
      opened: (pending) => this.#events.put({ kind: 'opened', pending }),
      chunk: (message, sequence) =>
        this.#events.put({ kind: 'chunk', chunk: { message, sequence } }),
      gap: () => this.#events.put({ kind: 'gap' }),
      streamMissing: () =>
        this.#events.fail(
          new NatsError('OBJECT_NOT_FOUND', `objects: ${name}: there is no stream ${stream}`),
        ),
    });
  }

  readonly #abort = (): void => {
    const { name, signal } = this.settings;
    this.#events.fail(
      new NatsError('OBJECT_STALLED', `objects: reading ${name} was aborted`, {
        cause: signal?.reason,
      }),
    );
  };

  #discardEvents(): void {
    for (const event of this.#events.drain())
      if (event.kind === 'chunk') event.chunk.message.release();
  }
}

function opening(sinceMs: number): ReaderState {
  return { kind: 'opening', sinceMs };
}

function failed(error: unknown): { readonly kind: 'failed'; readonly error: unknown } {
  return { kind: 'failed', error };
}
