import { createHash, randomUUID } from 'node:crypto';

import type { LaneMessage } from '../connection/lane-parser.js';
import type { Lane } from '../connection/lane.js';
import { NatsError } from '../errors.js';
import { digestText } from './digest.js';

export interface ChunkSource {
  /** Fills `target` from its start; returns how many bytes, fewer than fit only at the end. */
  next(target: Uint8Array): Promise<number> | number;
}

export interface WriteSettings {
  readonly lane: Lane;
  /** For messages. */
  readonly name: string;
  /** Subject of all chunks, stored by a JetStream stream that drops duplicates. */
  readonly subject: string;
  readonly chunkBytes: number;
  readonly windowChunks: number;
  readonly stallTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onResend?: ((chunks: number) => void) | undefined;
}

export interface WrittenChunks {
  readonly byteLength: number;
  readonly chunks: number;
  readonly digest: string;
}

interface PendingChunk {
  readonly data: Buffer;
  sentMs: number;
}

/**
 * Unanswered for so long, a chunk is sent again; the server knows it by its message id. Also the
 * wait before trying again what a server that is just starting has refused.
 */
const resendMs = 2000;
const tickMs = 100;

/** Under which JetStream drops what is stored already. */
const messageIdHeader = 'Nats-Msg-Id';

/**
 * Publishes chunks to a stream, several in flight, until the server has acknowledged all.
 * @throws NatsError OBJECT_STALLED, OBJECT_WRITE_FAILED
 */
export async function writeChunks(
  settings: WriteSettings,
  source: ChunkSource,
): Promise<WrittenChunks> {
  const writer = new ChunkWriter(settings);
  try {
    return await writer.run(source);
  } finally {
    writer.close();
  }
}

class ChunkWriter {
  readonly #pending = new Map<number, PendingChunk>();
  readonly #free: Buffer[] = [];
  readonly #inbox: string;
  readonly #stop: (() => void)[];
  readonly #uploadId = randomUUID();
  #wake: (() => void) | undefined;
  #error: Error | undefined;
  #lastSequence = 0;
  #lastAcknowledged = -1;
  #progressMs = performance.now();

  constructor(private readonly settings: WriteSettings) {
    const { lane, signal } = settings;
    this.#inbox = `${lane.inbox}.${this.#uploadId}`;
    const timer = setInterval(() => this.#tick(), tickMs);
    const abort = (): void =>
      this.#fail(
        new NatsError('OBJECT_WRITE_FAILED', `objects: writing ${settings.name} was aborted`, {
          cause: signal?.reason,
        }),
      );
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    this.#stop = [
      lane.subscribe(`${this.#inbox}.*`, (message) => this.#acknowledged(message)),
      lane.onReconnect(() => this.#resend()),
      () => clearInterval(timer),
      () => signal?.removeEventListener('abort', abort),
    ];
  }

  async run(source: ChunkSource): Promise<WrittenChunks> {
    const hash = createHash('sha256');
    let chunks = 0;
    let byteLength = 0;
    for (;;) {
      const buffer = await this.#freeBuffer();
      const filled = await source.next(buffer);
      if (filled === 0) break;
      const data = buffer.subarray(0, filled);
      // Sent first: the server works while this thread hashes.
      this.#send(chunks, { data, sentMs: performance.now() });
      hash.update(data);
      chunks += 1;
      byteLength += filled;
    }
    while (this.#pending.size > 0) await this.#changed();
    return { byteLength, chunks, digest: digestText(hash.digest()) };
  }

  close(): void {
    for (const stop of this.#stop) stop();
  }

  async #freeBuffer(): Promise<Buffer> {
    while (this.#pending.size >= this.settings.windowChunks) await this.#changed();
    if (this.#error) throw this.#error;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.settings.chunkBytes);
  }

  #changed(): Promise<void> {
    if (this.#error) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#wake = () => {
        if (this.#error) reject(this.#error);
        else resolve();
      };
    });
  }

  #send(chunk: number, pending: PendingChunk): void {
    if (this.#pending.size === 0) this.#progressMs = performance.now();
    this.#pending.set(chunk, pending);
    this.settings.lane.publish(this.settings.subject, [pending.data], {
      reply: `${this.#inbox}.${chunk}`,
      headers: { [messageIdHeader]: `${this.#uploadId}.${chunk}` },
    });
  }

  #acknowledged(message: LaneMessage): void {
    const chunk = Number(message.subject.slice(message.subject.lastIndexOf('.') + 1));
    const answer = parseAnswer(message);
    message.release();
    const pending = this.#pending.get(chunk);
    if (!pending || !answer) return;
    if (answer.kind === 'refused')
      return this.#fail(
        new NatsError(
          'OBJECT_WRITE_FAILED',
          `objects: ${this.settings.name}: the server refused chunk ${chunk}: ${answer.reason}`,
        ),
      );
    if (!this.#isInOrder(chunk, answer.sequence))
      return this.#fail(
        new NatsError(
          'OBJECT_WRITE_FAILED',
          `objects: ${this.settings.name}: chunk ${chunk} was stored out of order around a restart of the server`,
        ),
      );
    this.#pending.delete(chunk);
    this.#free.push(Buffer.from(pending.data.buffer, 0, this.settings.chunkBytes));
    this.#progressMs = performance.now();
    this.#wakeUp();
  }

  /** Readers take chunks in the order of the stream. */
  #isInOrder(chunk: number, sequence: number): boolean {
    if (chunk < this.#lastAcknowledged) return sequence < this.#lastSequence;
    const inOrder = sequence > this.#lastSequence;
    this.#lastAcknowledged = chunk;
    this.#lastSequence = sequence;
    return inOrder;
  }

  #tick(): void {
    const { stallTimeoutMs, name } = this.settings;
    if (this.#pending.size === 0) return;
    if (performance.now() - this.#progressMs > stallTimeoutMs) {
      return this.#fail(
        new NatsError(
          'OBJECT_STALLED',
          `objects: ${name}: the server stored nothing for ${stallTimeoutMs} ms`,
        ),
      );
    }
    const [oldest] = this.#pending.values();
    if (oldest && performance.now() - oldest.sentMs > resendMs) this.#resend();
  }

  #resend(): void {
    const now = performance.now();
    if (this.#pending.size > 0) this.settings.onResend?.(this.#pending.size);
    for (const [chunk, pending] of [...this.#pending].sort(([a], [b]) => a - b)) {
      pending.sentMs = now;
      this.#send(chunk, pending);
    }
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

type Answer =
  | { readonly kind: 'stored'; readonly sequence: number }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * @returns undefined when the server says nothing definite: it is starting, or nobody listens yet
 */
function parseAnswer(message: LaneMessage): Answer | undefined {
  if (message.payload.length === 0) return undefined;
  const answer = JSON.parse(Buffer.from(message.payload).toString('utf8')) as {
    seq?: number;
    error?: { code: number; description: string };
  };
  if (answer.error)
    return answer.error.code === 503
      ? undefined
      : { kind: 'refused', reason: answer.error.description };
  return { kind: 'stored', sequence: answer.seq ?? 0 };
}
