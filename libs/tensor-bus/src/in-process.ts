import { at } from '@emloc/checked';

import { TensorBusError } from './errors.js';
import { DeliveredLayer, LayerInbox, type LayerDelivery } from './incoming.js';
import { assertChannel, assertLayer } from './layout.js';
import type {
  IncomingLayer,
  OutgoingLayer,
  ReceiveOptions,
  TensorBus,
  TensorBusObserver,
  TensorSink,
} from './tensor-bus.js';

const chunkBytes = 1024 * 1024;

interface WaitingLayer {
  readonly layer: OutgoingLayer;
  readonly signal: AbortSignal | undefined;
  readonly startedMs: number;
  resolve(): void;
  reject(error: Error): void;
}

/** The bus of one process: tensors go from source to sink through one buffer of 1 MiB a layer. */
export function createInProcessTensorBus({
  observer = {},
}: { observer?: TensorBusObserver } = {}): TensorBus {
  return new InProcessTensorBus(observer);
}

class InProcessTensorBus implements TensorBus {
  readonly #waiting = new Map<string, Set<WaitingLayer>>();
  readonly #inboxes = new Map<string, LayerInbox[]>();
  readonly #inFlight = new Set<WaitingLayer>();
  #closed = false;

  constructor(private readonly observer: TensorBusObserver) {}

  send(layer: OutgoingLayer, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      assertLayer(layer);
      if (this.#closed) throw closed(layer);
      const waiting: WaitingLayer = {
        layer,
        signal,
        startedMs: performance.now(),
        resolve,
        reject,
      };
      const abort = (): void => this.#settle(waiting, aborted(layer, signal));
      if (signal?.aborted) throw aborted(layer, signal);
      signal?.addEventListener('abort', abort, { once: true });
      this.#inFlight.add(waiting);
      this.#deliver(waiting);
    });
  }

  receive(channel: string, options: ReceiveOptions = {}): AsyncIterableIterator<IncomingLayer> {
    assertChannel(channel);
    const inbox = new LayerInbox(options, () => this.#forget(channel, inbox));
    this.#inboxes.set(channel, [...(this.#inboxes.get(channel) ?? []), inbox]);
    const waiting = [...(this.#waiting.get(channel) ?? [])];
    this.#waiting.delete(channel);
    for (const entry of waiting) this.#deliver(entry);
    if (this.#closed) inbox.close();
    return inbox;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const entry of this.#inFlight) this.#settle(entry, closed(entry.layer));
    for (const inbox of [...this.#inboxes.values()].flat()) inbox.close();
    return Promise.resolve();
  }

  #deliver(entry: WaitingLayer): void {
    if (!this.#inFlight.has(entry)) return;
    const { channel } = entry.layer;
    const [inbox] = [...(this.#inboxes.get(channel) ?? [])].sort((a, b) => a.size - b.size);
    if (inbox) return inbox.push(new DeliveredLayer(entry.layer, this.#delivery(entry)));
    this.#waiting.set(channel, (this.#waiting.get(channel) ?? new Set()).add(entry));
  }

  #delivery(entry: WaitingLayer): LayerDelivery {
    return {
      transfer: (sinks) => this.#transfer(entry, sinks),
      refuse: (reason) => this.#settle(entry, rejected(entry.layer, reason)),
      giveBack: () => this.#deliver(entry),
      isWithdrawn: () => !this.#inFlight.has(entry),
    };
  }

  async #transfer(entry: WaitingLayer, sinks: readonly TensorSink[]): Promise<void> {
    try {
      await this.#copy(entry, sinks);
      this.#settle(entry);
    } catch (cause) {
      this.#settle(
        entry,
        rejected(entry.layer, cause instanceof Error ? cause.message : String(cause), cause),
      );
      throw cause;
    }
  }

  async #copy(entry: WaitingLayer, sinks: readonly TensorSink[]): Promise<void> {
    const buffer = new Uint8Array(chunkBytes);
    for (const [index, tensor] of entry.layer.tensors.entries()) {
      for (let offset = 0; offset < tensor.byteLength; offset += chunkBytes) {
        if (!this.#inFlight.has(entry)) throw aborted(entry.layer, entry.signal);
        const part = buffer.subarray(0, Math.min(chunkBytes, tensor.byteLength - offset));
        await tensor.read(offset, part);
        await at(sinks, index).write(offset, part);
        this.observer.chunk?.('sent', part.length);
        this.observer.chunk?.('received', part.length);
      }
    }
    for (const sink of sinks) await sink.close?.();
  }

  #settle(entry: WaitingLayer, error?: Error): void {
    if (!this.#inFlight.delete(entry)) return;
    this.#waiting.get(entry.layer.channel)?.delete(entry);
    if (error) return entry.reject(error);
    const bytes = entry.layer.tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const milliseconds = performance.now() - entry.startedMs;
    this.observer.layer?.('sent', bytes, milliseconds);
    this.observer.layer?.('received', bytes, milliseconds);
    entry.resolve();
  }

  #forget(channel: string, inbox: LayerInbox): void {
    const rest = (this.#inboxes.get(channel) ?? []).filter((other) => other !== inbox);
    if (rest.length > 0) this.#inboxes.set(channel, rest);
    else this.#inboxes.delete(channel);
  }
}

function describe({ channel, layer }: OutgoingLayer): string {
  return `tensor bus: ${channel}: layer ${layer}`;
}

function closed(layer: OutgoingLayer): TensorBusError {
  return new TensorBusError('TENSOR_BUS_CLOSED', `${describe(layer)}: the bus is closed`);
}

function aborted(layer: OutgoingLayer, signal: AbortSignal | undefined): TensorBusError {
  return new TensorBusError('TENSOR_BUS_ABORTED', `${describe(layer)}: sending was aborted`, {
    cause: signal?.reason,
  });
}

function rejected(layer: OutgoingLayer, reason: string, cause?: unknown): TensorBusError {
  return new TensorBusError(
    'TENSOR_BUS_REJECTED',
    `${describe(layer)}: refused by the receiver: ${reason}`,
    { cause },
  );
}
