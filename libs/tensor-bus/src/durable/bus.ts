import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection, ObjectBucket } from '@emloc/service-kit';
import type { JsMsg } from '@nats-io/jetstream';

import { TensorBusError } from '../errors.js';
import { DeliveredLayer, LayerInbox, type LayerDelivery } from '../incoming.js';
import { assertChannel, assertLayer } from '../layout.js';
import type {
  IncomingLayer,
  OutgoingLayer,
  ReceiveOptions,
  TensorBus,
  TensorBusObserver,
  TensorSink,
} from '../tensor-bus.js';
import { Announcements, type Announcement } from './announcements.js';
import { tensorsSink, toBusError, writeTensors } from './tensor-store.js';

export interface DurableBusOptions {
  readonly nats: NatsConnection;
  /** Stays the caller's; holds nothing else. */
  readonly bucket: ObjectBucket;
  /** Letters, digits, `_` and `-`; buses of one name reach each other. */
  readonly name: string;
  /** A layer whose sender stores nothing for so long is given up, until it is announced again. */
  readonly stallTimeoutMs?: number;
  readonly observer?: TensorBusObserver;
}

/** Of layers, which nobody else reads. */
const algorithm = 'GMAC';
/** Readings of one announcement before it is dropped: its sender died, or its bytes are damaged. */
const maxReadings = 5;
const busyMs = 10_000;
const pollMs = 50;

/**
 * The bus over JetStream: `send` resolves when every byte is stored, whether anybody receives or
 * not, and a receiver reads while the sender still writes. A layer that was read is deleted, at the
 * latest when the receiver's bus has closed. A receiver that dies or whose sink throws gets it
 * again, so `send` never fails for its receiver's sake.
 */
export async function createDurableTensorBus(options: DurableBusOptions): Promise<TensorBus> {
  return new DurableTensorBus(options, await Announcements.open(options.nats, options.name));
}

class DurableTensorBus implements TensorBus {
  readonly #closing = new AbortController();
  readonly #inboxes = new Set<LayerInbox>();
  readonly #deletions = new Set<Promise<unknown>>();
  readonly #observer: TensorBusObserver;

  constructor(
    private readonly options: DurableBusOptions,
    private readonly announcements: Announcements,
  ) {
    this.#observer = options.observer ?? {};
  }

  async send(layer: OutgoingLayer, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    assertLayer(layer);
    const startedMs = performance.now();
    const stop = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    if (this.#closing.signal.aborted)
      throw new TensorBusError(
        'TENSOR_BUS_CLOSED',
        `tensor bus: ${layer.channel}: the bus is closed`,
      );
    if (stop.aborted)
      throw new TensorBusError(
        'TENSOR_BUS_ABORTED',
        `tensor bus: ${layer.channel}: layer ${layer.layer}: sending was aborted`,
        { cause: stop.reason },
      );
    const id = randomUUID().replaceAll('-', '');
    const { channel, tensors, attributes = {} } = layer;
    const key = `${channel}/${layer.layer}/${id}`;
    const headers = tensors.map(({ name, dtype, shape, byteLength }) => ({
      name,
      dtype,
      shape,
      byteLength,
    }));
    const withdraw = await this.announcements.publish({
      id,
      key,
      channel,
      layer: layer.layer,
      attributes,
      tensors: headers,
    });
    try {
      await writeTensors(this.options.bucket, key, layer, {
        signal: stop,
        id,
        algorithm,
        onResend: (chunks) => this.#observer.retransmitted?.(chunks),
      });
    } catch (error) {
      await withdraw();
      throw this.#closing.signal.aborted
        ? new TensorBusError('TENSOR_BUS_CLOSED', `tensor bus: ${channel}: the bus is closed`, {
            cause: error,
          })
        : error;
    }
    const bytes = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#observer.chunk?.('sent', bytes);
    this.#observer.layer?.('sent', bytes, performance.now() - startedMs);
  }

  receive(channel: string, options: ReceiveOptions = {}): AsyncIterableIterator<IncomingLayer> {
    assertChannel(channel);
    const stop = new AbortController();
    const inbox = new LayerInbox(options, () => {
      stop.abort();
      this.#inboxes.delete(inbox);
    });
    this.#inboxes.add(inbox);
    const until = AbortSignal.any([stop.signal, this.#closing.signal]);
    this.#fill(inbox, channel, until).catch((error: unknown) =>
      inbox.close(error instanceof Error ? error : new Error(String(error))),
    );
    return inbox;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const inbox of this.#inboxes) inbox.close();
    await Promise.all(this.#deletions);
  }

  /** One layer ahead of the receiver, so that others of the channel get theirs. */
  async #fill(inbox: LayerInbox, channel: string, signal: AbortSignal): Promise<void> {
    for await (const message of this.announcements.take(channel, signal)) {
      const announcement = message.json<Announcement>();
      if (message.info.deliveryCount > maxReadings) {
        await this.#drop(message, announcement);
        continue;
      }
      const delivery = new DurableDelivery(
        this.options,
        this.#observer,
        message,
        announcement,
        this.#closing.signal,
        () => this.#delete(announcement.key),
      );
      inbox.push(new DeliveredLayer(announcement, delivery));
      await delivery.taken;
    }
  }

  /**
   * Not waited for: the server goes through the chunks, which takes it a third of a second a GiB.
   * What it cannot delete stays.
   */
  #delete(key: string): void {
    const deletion: Promise<unknown> = this.options.bucket
      .delete(key)
      .catch(() => undefined)
      .finally(() => this.#deletions.delete(deletion));
    this.#deletions.add(deletion);
  }

  async #drop(message: JsMsg, { key, id }: Announcement): Promise<void> {
    message.term();
    await this.options.bucket.delete(key);
    await this.options.bucket.discard(id);
  }
}

class DurableDelivery implements LayerDelivery {
  /**
   * Resolves when the receiver has decided what becomes of the layer and, if it reads it, has it.
   */
  readonly taken: Promise<void>;
  #settleTaken: () => void = () => {};
  #timer: NodeJS.Timeout;

  constructor(
    private readonly options: DurableBusOptions,
    private readonly observer: TensorBusObserver,
    private readonly message: JsMsg,
    private readonly announcement: Announcement,
    private readonly closing: AbortSignal,
    private readonly deleteLayer: () => void,
  ) {
    this.taken = new Promise((resolve) => {
      this.#settleTaken = resolve;
    });
    this.#timer = setInterval(() => message.working(), busyMs);
  }

  async transfer(sinks: readonly TensorSink[]): Promise<void> {
    const startedMs = performance.now();
    try {
      const bytes = await this.#read(sinks);
      for (const sink of sinks) await sink.close?.();
      this.#finish();
      this.observer.layer?.('received', bytes, performance.now() - startedMs);
    } catch (error) {
      this.message.nak(1000);
      throw toBusError(`${this.announcement.channel}: layer ${this.announcement.layer}`, error);
    } finally {
      this.#settle();
    }
  }

  refuse(_reason: string): void {
    this.#settle();
    this.#finish();
  }

  giveBack(): void {
    this.#settle();
    this.message.nak();
  }

  isWithdrawn(): boolean {
    return false;
  }

  async #read(sinks: readonly TensorSink[]): Promise<number> {
    const { id, key, tensors } = this.announcement;
    const { bucket, stallTimeoutMs = 30_000 } = this.options;
    const bytes = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const sink = tensorsSink(tensors, sinks);
    const counting = {
      write: (offset: number, part: Uint8Array) => {
        this.observer.chunk?.('received', part.length);
        return sink.write(offset, part);
      },
    };
    const digest = await bucket.follow(id, bytes, counting, {
      stallTimeoutMs,
      signal: this.closing,
      algorithm,
    });
    const stored = await this.#digestOf(key, stallTimeoutMs);
    if (digest !== stored)
      throw new TensorBusError(
        'TENSOR_BUS_CORRUPT',
        `tensor bus: ${key} has digest ${digest}, ${stored} was stored`,
      );
    return bytes;
  }

  /**
   * The sender names the object when all its chunks are acknowledged, a moment after we have read
   * them.
   */
  async #digestOf(key: string, timeoutMs: number): Promise<string> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const info = await this.options.bucket.info(key);
      if (info) return info.digest;
      if (performance.now() > endMs || this.closing.aborted)
        throw new TensorBusError(
          'TENSOR_BUS_STALLED',
          `tensor bus: the sender of ${key} did not finish within ${timeoutMs} ms`,
        );
      await sleep(pollMs);
    }
  }

  #finish(): void {
    this.message.ack();
    this.deleteLayer();
  }

  #settle(): void {
    clearInterval(this.#timer);
    this.#settleTaken();
  }
}
