import { createHash, randomUUID } from 'node:crypto';
import { Mailbox, systemClock, type Clock } from '@emloc/time';

import type { LaneMessage } from '../connection/lane-parser.js';
import type { Lane } from '../connection/lane.js';
import { NatsError } from '../errors.js';
import { digestText } from './digest.js';

/** What is written. */
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
  readonly clock?: Clock;
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
  const writer = new ChunkWriter(settings, source);
  try {
    return await writer.run();
  } finally {
    writer.close();
  }
}

type WriterState =
  /** The source fills a chunk, which is sent. */
  | { readonly kind: 'filling' }
  /** As many chunks are on their way as may be. */
  | { readonly kind: 'full' }
  /** The source has ended, and chunks are on their way. */
  | { readonly kind: 'draining' }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'done' };

class ChunkWriter {
  readonly #pending = new Map<number, PendingChunk>();
  readonly #free: Buffer[] = [];
  readonly #uploadId = randomUUID();
  readonly #inbox: string;
  readonly #hash = createHash('sha256');
  readonly #clock: Clock;
  /** Woken when a chunk is acknowledged, and by a failure. */
  readonly #changes: Mailbox<null>;
  readonly #stop: (() => void)[];
  #state: WriterState = { kind: 'filling' };
  #sent = { chunks: 0, byteLength: 0 };
  /** The newest chunk that is acknowledged. */
  #acknowledged = { chunk: -1, sequence: 0 };
  #progressMs: number;
  /** Why the server has stored nothing since. */
  #delay: string | null = null;

  constructor(
    private readonly settings: WriteSettings,
    private readonly source: ChunkSource,
  ) {
    const { lane, signal, clock = systemClock } = settings;
    this.#clock = clock;
    this.#changes = new Mailbox(clock);
    this.#progressMs = clock.now();
    this.#inbox = `${lane.inbox}.${this.#uploadId}`;
    const ticks = clock.every(tickMs, () => this.#tick());
    const abort = (): void =>
      this.#fail('OBJECT_WRITE_FAILED', `writing ${settings.name} was aborted`, signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    this.#stop = [
      lane.subscribe(`${this.#inbox}.*`, (message) => this.#answered(message)),
      lane.onReconnect(() => this.#resend()),
      () => ticks.end(),
      () => signal?.removeEventListener('abort', abort),
    ];
  }

  async run(): Promise<WrittenChunks> {
    for (;;) {
      switch (this.#state.kind) {
        case 'filling':
          await this.#fill();
          break;
        case 'full':
          await this.#changes.take();
          this.#enter({ kind: this.#isFull ? 'full' : 'filling' });
          break;
        case 'draining':
          await this.#changes.take();
          this.#enter({ kind: this.#pending.size > 0 ? 'draining' : 'done' });
          break;
        case 'failed':
          throw this.#state.error;
        case 'done':
          return { ...this.#sent, digest: digestText(this.#hash.digest()) };
      }
    }
  }

  close(): void {
    for (const stop of this.#stop) stop();
  }

  get #isFull(): boolean {
    return this.#pending.size >= this.settings.windowChunks;
  }

  async #fill(): Promise<void> {
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.settings.chunkBytes);
    const filled = await this.source.next(buffer);
    // What changed so far is seen by what is pending.
    this.#changes.drain();
    if (filled === 0) return this.#enter({ kind: this.#pending.size > 0 ? 'draining' : 'done' });
    const data = buffer.subarray(0, filled);
    const { chunks, byteLength } = this.#sent;
    // Sent first: the server works while this thread hashes.
    this.#send(chunks, { data, sentMs: this.#clock.now() });
    this.#hash.update(data);
    this.#sent = { chunks: chunks + 1, byteLength: byteLength + filled };
    this.#enter({ kind: this.#isFull ? 'full' : 'filling' });
  }

  /** A failure stays. */
  #enter(state: WriterState): void {
    if (this.#state.kind !== 'failed') this.#state = state;
  }

  #send(chunk: number, pending: PendingChunk): void {
    if (this.#pending.size === 0) this.#progressMs = this.#clock.now();
    this.#pending.set(chunk, pending);
    this.settings.lane.publish(this.settings.subject, [pending.data], {
      reply: `${this.#inbox}.${chunk}`,
      headers: { [messageIdHeader]: `${this.#uploadId}.${chunk}` },
    });
  }

  #answered(message: LaneMessage): void {
    const chunk = Number(message.subject.slice(message.subject.lastIndexOf('.') + 1));
    const answer = parseAnswer(message);
    message.release();
    const pending = this.#pending.get(chunk);
    if (!pending || !answer) return;
    const { name, chunkBytes } = this.settings;
    if (answer.kind === 'delayed') {
      this.#delay = answer.reason;
      return;
    }
    if (answer.kind === 'refused')
      return this.#fail(
        'OBJECT_WRITE_FAILED',
        `${name}: the server refused chunk ${chunk}: ${answer.reason}`,
      );
    if (!this.#isInOrder(chunk, answer.sequence))
      return this.#fail(
        'OBJECT_WRITE_FAILED',
        `${name}: chunk ${chunk} was stored out of order around a restart of the server`,
      );
    this.#pending.delete(chunk);
    this.#free.push(Buffer.from(pending.data.buffer, 0, chunkBytes));
    this.#progressMs = this.#clock.now();
    this.#delay = null;
    this.#changes.put(null);
  }

  /** Readers take chunks in the order of the stream. */
  #isInOrder(chunk: number, sequence: number): boolean {
    const last = this.#acknowledged;
    if (chunk < last.chunk) return sequence < last.sequence;
    this.#acknowledged = { chunk, sequence };
    return sequence > last.sequence;
  }

  #tick(): void {
    const { stallTimeoutMs, name } = this.settings;
    if (this.#pending.size === 0) return;
    if (this.#clock.now() - this.#progressMs > stallTimeoutMs)
      return this.#fail(
        'OBJECT_STALLED',
        `${name}: the server stored nothing for ${stallTimeoutMs} ms${this.#delay === null ? '' : `: ${this.#delay}`}`,
      );
    const [oldest] = this.#pending.values();
    if (oldest && this.#clock.now() - oldest.sentMs > resendMs) this.#resend();
  }

  #resend(): void {
    const now = this.#clock.now();
    if (this.#pending.size > 0) this.settings.onResend?.(this.#pending.size);
    for (const [chunk, pending] of [...this.#pending].sort(([a], [b]) => a - b)) {
      pending.sentMs = now;
      this.#send(chunk, pending);
    }
  }

  #fail(code: 'OBJECT_STALLED' | 'OBJECT_WRITE_FAILED', problem: string, cause?: unknown): void {
    this.#enter({ kind: 'failed', error: new NatsError(code, `objects: ${problem}`, { cause }) });
    this.#changes.put(null);
  }
}

type Answer =
  | { readonly kind: 'stored'; readonly sequence: number }
  /** Not now: the server is starting, or has no space. */
  | { readonly kind: 'delayed'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** @returns undefined when the server says nothing: nobody listens yet */
function parseAnswer(message: LaneMessage): Answer | undefined {
  if (message.payload.length === 0) return undefined;
  const answer = JSON.parse(Buffer.from(message.payload).toString('utf8')) as {
    seq?: number;
    error?: { code: number; description: string };
  };
  if (answer.error) {
    const { code, description: reason } = answer.error;
    return { kind: code === 503 ? 'delayed' : 'refused', reason };
  }
  return { kind: 'stored', sequence: answer.seq ?? 0 };
}
