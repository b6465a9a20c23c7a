import { at } from '@emloc/checked';
import type { Lane } from '@emloc/service-kit';

import { TensorBusError, type TensorBusErrorCode } from '../errors.js';
import { chunkLayout, type ChunkLayout } from '../layout.js';
import type { OutgoingLayer } from '../tensor-bus.js';
import {
  chunkHeaderBytes,
  encodeControl,
  sealChunk,
  type Offer,
  type ReceiverMessage,
  type SenderMessage,
} from './frames.js';
import { Backoff, type BusSettings } from './settings.js';

const tickMs = 50;

type SenderState =
  | { readonly kind: 'offering' }
  | { readonly kind: 'queued'; readonly receiver: string }
  | { readonly kind: 'sending'; readonly receiver: string; readonly windowChunks: number }
  | { readonly kind: 'settled' };

/**
 * One layer on its way out. Chunks are read into `windowChunks` frames and stay there until the
 * receiver has written them. The receiver gets probes over the subject of the chunks, so an answer
 * says exactly what was lost on the way: a slow receiver answers late and gets nothing twice.
 */
export class OutgoingTransfer {
  readonly #layout: ChunkLayout;
  readonly #frames: Buffer[] = [];
  readonly #backoff: Backoff;
  readonly #done: Promise<void>;
  readonly #startedMs = performance.now();
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};
  #state: SenderState = { kind: 'offering' };
  #timer: NodeJS.Timeout;
  /** The next chunk to be read, and the first that is not acknowledged. */
  #nextChunk = 0;
  #base = 0;
  #pumping = false;
  #attempt = 0;
  #heardMs = performance.now();
  #progressMs = performance.now();
  #waitingSinceMs = performance.now();

  constructor(
    private readonly lane: Lane,
    private readonly settings: BusSettings,
    private readonly layer: OutgoingLayer,
    private readonly offer: Offer,
    private readonly subject: string,
  ) {
    this.#layout = chunkLayout(layer.tensors, offer.chunkBytes);
    this.#backoff = new Backoff(settings.retryMs, settings.maxRetryMs);
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** Offers the layer and resolves when the receiver has all of it. */
  run(signal: AbortSignal | undefined): Promise<void> {
    const abort = (): void =>
      this.abort('TENSOR_BUS_ABORTED', 'sending was aborted', signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    else this.#offer();
    return this.#done.finally(() => signal?.removeEventListener('abort', abort));
  }

  /** Gives up and tells the receiver. */
  abort(code: TensorBusErrorCode, reason: string, cause?: unknown): void {
    if (this.#state.kind === 'queued' || this.#state.kind === 'sending')
      this.#tell(this.#state.receiver, { type: 'abort', reason });
    this.#settle(new TensorBusError(code, `${this.#name()}: ${reason}`, { cause }));
  }

  /** The connection is back: what was under way may be lost. */
  reconnected(): void {
    this.#heardMs = performance.now();
    this.#backoff.expire();
  }

  receive(message: ReceiverMessage): void {
    const state = this.#state;
    if (state.kind === 'settled') return;
    const isOurs = state.kind === 'offering' || state.receiver === message.receiver;
    if (!isOurs) {
      if (message.type === 'queued' || message.type === 'accept')
        this.#tell(message.receiver, { type: 'abort', reason: 'another receiver was faster' });
      return;
    }
    this.#heardMs = performance.now();
    this.#handle(message);
  }

  #handle(message: ReceiverMessage): void {
    switch (message.type) {
      case 'queued':
        if (this.#state.kind === 'offering')
          this.#state = { kind: 'queued', receiver: message.receiver };
        if (this.#state.kind === 'queued') this.#tell(message.receiver, { type: 'grant' });
        return;
      case 'accept':
        return this.#accepted(message.receiver, message.windowChunks);
      case 'ack':
        return this.#acknowledged(message.next);
      case 'missing':
        this.#acknowledged(message.next);
        return this.#repeat(message.chunks);
      case 'done':
        return this.#settle();
      case 'reject':
        return this.#settle(
          new TensorBusError(
            'TENSOR_BUS_REJECTED',
            `${this.#name()}: refused by the receiver: ${message.reason}`,
          ),
        );
      case 'back':
        return this.#startAgain();
    }
  }

  /**
   * The receiver has forgotten the layer: another one, or the same, gets it from its first chunk
   * on.
   */
  #startAgain(): void {
    this.#attempt += 1;
    this.#state = { kind: 'offering' };
    this.#nextChunk = 0;
    this.#base = 0;
    this.#waitingSinceMs = performance.now();
    this.#offer();
  }

  #accepted(receiver: string, windowChunks: number): void {
    if (this.#state.kind === 'sending') return;
    this.#state = {
      kind: 'sending',
      receiver,
      windowChunks: Math.max(1, Math.min(windowChunks, this.settings.windowChunks)),
    };
    this.#progressMs = performance.now();
    this.#backoff.reset();
    void this.#pump();
  }

  #acknowledged(next: number): void {
    if (next <= this.#base || next > this.#nextChunk) return;
    this.#base = next;
    this.#progressMs = performance.now();
    this.#backoff.reset();
    void this.#pump();
  }

  #repeat(chunks: readonly number[]): void {
    const state = this.#state;
    if (state.kind !== 'sending') return;
    const wanted = chunks.filter((chunk) => chunk >= this.#base && chunk < this.#nextChunk);
    for (const chunk of wanted)
      this.lane.publish(state.receiver, [this.#frame(chunk, state.windowChunks)]);
    if (wanted.length > 0) this.settings.observer.retransmitted?.(wanted.length);
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      let receiver = this.#receiverWithRoom();
      while (receiver !== undefined) {
        await this.#sendNext(receiver);
        receiver = this.#receiverWithRoom();
      }
    } catch (cause) {
      this.abort(
        'TENSOR_BUS_ABORTED',
        `the tensor could not be read: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause,
      );
    } finally {
      this.#pumping = false;
    }
  }

  #receiverWithRoom(): string | undefined {
    const state = this.#state;
    const hasRoom =
      state.kind === 'sending' &&
      this.#nextChunk < this.#layout.chunkCount &&
      this.#nextChunk < this.#base + state.windowChunks;
    return hasRoom ? state.receiver : undefined;
  }

  async #sendNext(receiver: string): Promise<void> {
    const state = this.#state;
    if (state.kind !== 'sending') return;
    const chunk = this.#nextChunk;
    const attempt = this.#attempt;
    const frame = this.#frame(chunk, state.windowChunks);
    for (const { tensor, offsetBytes, at: inChunk, byteLength } of this.#layout.ranges(chunk)) {
      const from = chunkHeaderBytes + inChunk;
      const reading = at(this.layer.tensors, tensor).read(
        offsetBytes,
        frame.subarray(from, from + byteLength),
      );
      // A source in memory answers at once, and the event loop need not turn for it.
      if (reading) await reading;
    }
    if (attempt !== this.#attempt) return;
    sealChunk(frame, chunk, this.offer.tag);
    this.#nextChunk = chunk + 1;
    this.lane.publish(receiver, [frame]);
    this.settings.observer.chunk?.('sent', frame.length - chunkHeaderBytes);
  }

  #frame(chunk: number, windowChunks: number): Buffer {
    const slot = chunk % windowChunks;
    const buffer = (this.#frames[slot] ??= Buffer.allocUnsafeSlow(
      chunkHeaderBytes + Math.min(this.offer.chunkBytes, this.#layout.totalBytes),
    ));
    return buffer.subarray(0, chunkHeaderBytes + this.#layout.chunkByteLength(chunk));
  }

  #tick(): void {
    const nowMs = performance.now();
    const state = this.#state;
    if (state.kind === 'offering') {
      if (nowMs - this.#waitingSinceMs > this.settings.receiverTimeoutMs)
        return this.abort(
          'TENSOR_BUS_NO_RECEIVER',
          `nobody received for ${this.settings.receiverTimeoutMs} ms`,
        );
      if (this.#backoff.isDue()) this.#offer();
      return;
    }
    if (nowMs - this.#heardMs > this.settings.silenceTimeoutMs)
      return this.abort(
        'TENSOR_BUS_STALLED',
        `the receiver said nothing for ${this.settings.silenceTimeoutMs} ms, ${this.#base} of ${this.#layout.chunkCount} chunks acknowledged`,
      );
    if (state.kind !== 'sending') {
      // The receiver may have accepted while the connection was gone.
      if (this.#backoff.isDue())
        this.#offerTo(state.kind === 'queued' ? state.receiver : this.subject);
      return;
    }
    if (nowMs - this.#progressMs > this.settings.progressTimeoutMs)
      return this.abort(
        'TENSOR_BUS_STALLED',
        `the receiver took nothing for ${this.settings.progressTimeoutMs} ms, ${this.#base} of ${this.#layout.chunkCount} chunks acknowledged`,
      );
    if (this.#backoff.isDue()) this.#tell(state.receiver, { type: 'probe', sent: this.#nextChunk });
  }

  #offer(): void {
    this.#offerTo(this.subject);
  }

  #offerTo(subject: string): void {
    this.lane.publish(subject, [encodeControl(this.offer)]);
  }

  #tell(receiver: string, message: SenderMessage): void {
    this.lane.publish(receiver, [encodeControl(message)]);
  }

  #settle(error?: Error): void {
    if (this.#state.kind === 'settled') return;
    this.#state = { kind: 'settled' };
    clearInterval(this.#timer);
    if (error) return this.#reject(error);
    this.settings.observer.layer?.(
      'sent',
      this.#layout.totalBytes,
      performance.now() - this.#startedMs,
    );
    this.#resolve();
  }

  #name(): string {
    return `tensor bus: ${this.layer.channel}: layer ${this.layer.layer}`;
  }
}
