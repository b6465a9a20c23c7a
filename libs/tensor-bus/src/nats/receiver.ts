import { at } from '@emloc/checked';
import type { Lane, LaneMessage } from '@emloc/service-kit';

import { TensorBusError } from '../errors.js';
import type { LayerDelivery } from '../incoming.js';
import { chunkLayout, type ChunkLayout } from '../layout.js';
import type { TensorSink } from '../tensor-bus.js';
import {
  decodeControl,
  encodeControl,
  isControl,
  openChunk,
  type Offer,
  type ReceiverMessage,
  type SenderMessage,
} from './frames.js';
import { Backoff, type BusSettings } from './settings.js';

const tickMs = 50;
const maxListed = 1024;

/** How a transfer ended, for a sender that did not hear it. */
export type Outcome =
  | { readonly type: 'done' }
  | { readonly type: 'reject'; readonly reason: string }
  | { readonly type: 'back' };

type WithoutReceiver<T> = T extends unknown ? Omit<T, 'receiver'> : never;

/**
 * One layer on its way in. A chunk is written where it belongs as it arrives, in any order; nothing
 * is kept but what the sinks have not taken yet, which the window bounds.
 */
export class IncomingTransfer implements LayerDelivery {
  readonly #layout: ChunkLayout;
  readonly #arrived: Uint8Array;
  readonly #written: Uint8Array;
  readonly #signOfLife: Backoff;
  readonly #startedMs = performance.now();
  #sinks: readonly TensorSink[] | undefined;
  #timer: NodeJS.Timeout;
  /** Every chunk below is written. */
  #next = 0;
  #lastAck = 0;
  #writing = 0;
  #finishing = false;
  #isGranted = false;
  #settled = false;
  #heardMs = performance.now();
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};

  /**
   * @param onGranted called once, when the sender has chosen this receiver
   * @param onSettled called once with what a late question about this transfer is answered
   */
  constructor(
    private readonly lane: Lane,
    private readonly settings: BusSettings,
    private readonly offer: Offer,
    private readonly receiver: string,
    private readonly onGranted: (transfer: IncomingTransfer) => void,
    private readonly onSettled: (outcome: Outcome) => void,
  ) {
    this.#layout = chunkLayout(offer.tensors, offer.chunkBytes);
    this.#arrived = new Uint8Array(this.#layout.chunkCount);
    this.#written = new Uint8Array(this.#layout.chunkCount);
    this.#signOfLife = new Backoff(settings.maxRetryMs / 2, settings.maxRetryMs / 2);
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#tell({ type: 'queued' });
  }

  transfer(sinks: readonly TensorSink[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.#settled)
        return reject(this.#error('TENSOR_BUS_ABORTED', 'the sender gave up before it was read'));
      this.#sinks = sinks;
      this.#heardMs = performance.now();
      this.#tell({ type: 'accept', windowChunks: this.#windowChunks() });
      this.#finishWhenWritten();
    });
  }

  refuse(reason: string): void {
    this.#settle({ type: 'reject', reason });
  }

  giveBack(): void {
    this.#settle({ type: 'back' });
  }

  isWithdrawn(): boolean {
    return this.#settled;
  }

  /** The bus is closing. */
  close(): void {
    if (this.#sinks)
      this.#settle(
        { type: 'reject', reason: 'the receiver closed' },
        this.#error('TENSOR_BUS_CLOSED', 'the bus is closed'),
      );
    else this.giveBack();
  }

  /** The same offer again: the sender has not heard us. */
  offered(): void {
    this.#heardMs = performance.now();
    this.#tell(
      this.#sinks ? { type: 'accept', windowChunks: this.#windowChunks() } : { type: 'queued' },
    );
  }

  reconnected(): void {
    this.#heardMs = performance.now();
    this.#signOfLife.expire();
  }

  receive(message: LaneMessage): void {
    this.#heardMs = performance.now();
    if (!isControl(message.payload)) return this.#chunk(message);
    const control = decodeControl<SenderMessage | Offer>(message.payload);
    message.release();
    if (control?.type === 'offer') this.offered();
    if (control?.type === 'grant') this.#granted();
    if (control?.type === 'probe') this.#answer(control.sent);
    if (control?.type === 'abort')
      this.#settle(
        { type: 'back' },
        this.#error('TENSOR_BUS_ABORTED', `the sender gave up: ${control.reason}`),
      );
  }

  #granted(): void {
    if (this.#isGranted) return;
    this.#isGranted = true;
    this.onGranted(this);
  }

  #chunk(message: LaneMessage): void {
    const opened = openChunk(message.payload, this.offer.tag);
    const { sequence } = opened;
    const isKnown = sequence >= 0 && sequence < this.#layout.chunkCount;
    if (
      opened.kind === 'damaged' ||
      !isKnown ||
      opened.data.length !== this.#layout.chunkByteLength(sequence)
    ) {
      message.release();
      if (isKnown && !this.#arrived[sequence])
        this.#tell({ type: 'missing', next: this.#next, chunks: [sequence] });
      return;
    }
    const isNew =
      !this.#arrived[sequence] &&
      this.#sinks !== undefined &&
      this.#writing < 2 * this.#windowChunks();
    if (!isNew) return message.release();
    this.#arrived[sequence] = 1;
    this.#writing += 1;
    this.settings.observer.chunk?.('received', opened.data.length);
    const writing = this.#write(sequence, opened.data);
    if (writing) void writing.finally(() => message.release());
    else message.release();
  }

  /** Stays synchronous when the sinks are: most chunks go straight to memory. */
  #write(sequence: number, data: Buffer): Promise<void> | undefined {
    try {
      const pending = this.#layout
        .ranges(sequence)
        .map(({ tensor, offsetBytes, at: from, byteLength }) =>
          at(this.#sinks ?? [], tensor).write(offsetBytes, data.subarray(from, from + byteLength)),
        )
        // A sink that returns nothing has written; promises may come from another realm.
        .filter((writing) => writing !== undefined);
      if (pending.length > 0)
        return Promise.all(pending).then(
          () => this.#wrote(sequence),
          (error: unknown) => this.#failed(error),
        );
      this.#wrote(sequence);
    } catch (error) {
      this.#failed(error);
    }
    return undefined;
  }

  #wrote(sequence: number): void {
    this.#writing -= 1;
    this.#written[sequence] = 1;
    while (this.#written[this.#next]) this.#next += 1;
    if (this.#next - this.#lastAck >= Math.max(1, this.#windowChunks() >> 2)) this.#acknowledge();
    this.#finishWhenWritten();
  }

  #finishWhenWritten(): void {
    if (this.#next < this.#layout.chunkCount || this.#finishing || this.#settled) return;
    this.#finishing = true;
    void this.#closeSinks().then(
      () => this.#settle({ type: 'done' }),
      (error: unknown) => this.#failed(error),
    );
  }

  async #closeSinks(): Promise<void> {
    for (const sink of this.#sinks ?? []) await sink.close?.();
  }

  #failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#settle({ type: 'reject', reason }, error instanceof Error ? error : new Error(reason));
  }

  #acknowledge(): void {
    this.#lastAck = this.#next;
    this.#tell({ type: 'ack', next: this.#next });
  }

  #answer(sent: number): void {
    const chunks: number[] = [];
    for (
      let chunk = this.#next;
      chunk < Math.min(sent, this.#layout.chunkCount) && chunks.length < maxListed;
      chunk++
    ) {
      if (!this.#arrived[chunk]) chunks.push(chunk);
    }
    this.#lastAck = this.#next;
    this.#tell({ type: 'missing', next: this.#next, chunks });
  }

  #tick(): void {
    if (performance.now() - this.#heardMs > this.settings.silenceTimeoutMs) {
      return this.#settle(
        { type: 'back' },
        this.#error(
          'TENSOR_BUS_STALLED',
          `the sender said nothing for ${this.settings.silenceTimeoutMs} ms, ${this.#next} of ${this.#layout.chunkCount} chunks written`,
        ),
      );
    }
    if (!this.#signOfLife.isDue()) return;
    if (this.#sinks) this.#acknowledge();
    else this.#tell({ type: 'queued' });
  }

  #settle(outcome: Outcome, error?: Error): void {
    if (this.#settled) return;
    this.#settled = true;
    clearInterval(this.#timer);
    this.#tell(outcome);
    this.onSettled(outcome);
    if (outcome.type === 'done') {
      this.settings.observer.layer?.(
        'received',
        this.#layout.totalBytes,
        performance.now() - this.#startedMs,
      );
      this.#resolve();
    } else {
      this.#reject(error ?? this.#error('TENSOR_BUS_ABORTED', 'the layer was refused'));
    }
  }

  #tell(message: WithoutReceiver<ReceiverMessage>): void {
    this.lane.publish(this.offer.reply, [
      encodeControl({ ...message, receiver: this.receiver } as ReceiverMessage),
    ]);
  }

  #windowChunks(): number {
    return Math.min(this.offer.windowChunks, this.settings.windowChunks);
  }

  #error(
    code: 'TENSOR_BUS_ABORTED' | 'TENSOR_BUS_STALLED' | 'TENSOR_BUS_CLOSED',
    reason: string,
  ): TensorBusError {
    return new TensorBusError(
      code,
      `tensor bus: ${this.offer.channel}: layer ${this.offer.layer}: ${reason}`,
    );
  }
}
