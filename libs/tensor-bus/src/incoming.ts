import { at } from '@emloc/checked';

import { AsyncQueue } from './async-queue.js';
import { TensorBusError } from './errors.js';
import { memorySink } from './memory.js';
import type {
  IncomingLayer,
  OutgoingLayer,
  ReceiveOptions,
  TensorHeader,
  TensorSink,
} from './tensor-bus.js';

/** How an implementation of the bus moves and refuses a layer that it has announced. */
export interface LayerDelivery {
  /** Called once at most. */
  transfer(sinks: readonly TensorSink[]): Promise<void>;
  /** Nobody will read it. */
  refuse(reason: string): void;
  /** Nobody has looked at it: another receiver may have it. */
  giveBack(): void;
  /** Whether the sender has given up since. */
  isWithdrawn(): boolean;
}

type LayerHeader = Pick<OutgoingLayer, 'channel' | 'layer' | 'attributes'> & {
  readonly tensors: readonly TensorHeader[];
};

/** The receiver's view of a layer: reads at most once. */
export class DeliveredLayer implements IncomingLayer {
  readonly channel: string;
  readonly layer: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorHeader[];
  #used = false;

  constructor(
    header: LayerHeader,
    private readonly delivery: LayerDelivery,
  ) {
    this.channel = header.channel;
    this.layer = header.layer;
    this.attributes = header.attributes ?? {};
    this.tensors = header.tensors;
  }

  async read(sinkOf: (tensor: TensorHeader, index: number) => TensorSink): Promise<void> {
    if (this.#used)
      throw new TensorBusError(
        'TENSOR_BUS_INVALID',
        `tensor bus: ${this.channel}: layer ${this.layer} was read or refused already`,
      );
    this.#used = true;
    await this.delivery.transfer(this.tensors.map(sinkOf));
  }

  async toMemory(): Promise<Uint8Array[]> {
    const buffers = this.tensors.map(({ byteLength }) => new Uint8Array(byteLength));
    await this.read((_, index) => memorySink(at(buffers, index)));
    return buffers;
  }

  reject(reason: string): void {
    if (this.#used) return;
    this.#used = true;
    this.delivery.refuse(reason);
  }

  get isWithdrawn(): boolean {
    return this.delivery.isWithdrawn();
  }

  giveBack(): void {
    if (this.#used) return;
    this.#used = true;
    this.delivery.giveBack();
  }
}

/** The layers of a channel for one receiver. */
export class LayerInbox implements AsyncIterableIterator<IncomingLayer> {
  readonly #queue = new AsyncQueue<DeliveredLayer>();
  #last: DeliveredLayer | undefined;
  #closed = false;

  /** @param onClose ends the subscription; called once */
  constructor(
    { signal }: ReceiveOptions,
    private readonly onClose: (inbox: LayerInbox) => void,
  ) {
    const abort = (): void => this.close();
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) queueMicrotask(abort);
  }

  get size(): number {
    return this.#queue.size;
  }

  push(layer: DeliveredLayer): void {
    if (this.#closed) layer.giveBack();
    else this.#queue.push(layer);
  }

  close(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const layer of this.#queue.close(error)) layer.giveBack();
    this.onClose(this);
  }

  async next(): Promise<IteratorResult<IncomingLayer, undefined>> {
    this.#last?.reject('the receiver went on without reading it');
    let result = await this.#queue.next();
    while (!result.done && result.value.isWithdrawn) result = await this.#queue.next();
    this.#last = result.done ? undefined : result.value;
    return result;
  }

  return(): Promise<IteratorResult<IncomingLayer, undefined>> {
    this.#last?.reject('the receiver stopped without reading it');
    this.close();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
