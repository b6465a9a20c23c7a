import { randomBytes, randomInt } from 'node:crypto';
import type { Lane, LaneMessage } from '@emloc/service-kit';

import { TensorBusError } from '../errors.js';
import { DeliveredLayer, LayerInbox } from '../incoming.js';
import { assertChannel, assertLayer } from '../layout.js';
import type { IncomingLayer, OutgoingLayer, ReceiveOptions, TensorBus } from '../tensor-bus.js';
import {
  chunkHeaderBytes,
  decodeControl,
  encodeControl,
  type Offer,
  type ReceiverMessage,
} from './frames.js';
import { IncomingTransfer, type Outcome } from './receiver.js';
import { OutgoingTransfer } from './sender.js';
import { defaultBusSettings, type BusSettings } from './settings.js';

/**
 * Offers that wait for one receiver; more are left to other receivers, or to a later repetition.
 */
const maxQueuedOffers = 64;
const maxTransfers = 1024;
const maxRememberedOutcomes = 4096;

/**
 * The bus over core NATS: numbered, checksummed chunks, acknowledged and repeated end to end, so
 * that it outlives a restart of the server. Nothing is stored: sender and receiver are there at the
 * same time. The lane stays the caller's.
 */
export function createNatsTensorBus({
  lane,
  ...settings
}: { lane: Lane } & Partial<BusSettings>): TensorBus {
  return new NatsTensorBus(lane, { ...defaultBusSettings, ...settings });
}

class NatsTensorBus implements TensorBus {
  readonly #outgoing = new Map<string, OutgoingTransfer>();
  readonly #incoming = new Map<string, IncomingTransfer>();
  readonly #outcomes = new Map<string, Outcome>();
  /** Where the outcome of the same transfer is asked for. */
  readonly #replies = new Map<string, string>();
  readonly #inboxes = new Map<LayerInbox, () => void>();
  readonly #endpoint = `emloc.bus.${randomBytes(12).toString('hex')}`;
  readonly #stop: (() => void)[];
  #closed = false;

  constructor(
    private readonly lane: Lane,
    private readonly settings: BusSettings,
  ) {
    this.#stop = [
      lane.subscribe(`${this.#endpoint}.s.*`, (message) => this.#toSender(message)),
      lane.subscribe(`${this.#endpoint}.r.*`, (message) => this.#toReceiver(message)),
      lane.onReconnect(() => this.#reconnected()),
    ];
  }

  async send(layer: OutgoingLayer, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    assertLayer(layer);
    if (this.#closed)
      throw new TensorBusError(
        'TENSOR_BUS_CLOSED',
        `tensor bus: ${layer.channel}: the bus is closed`,
      );
    const offer = this.#offerOf(layer);
    const transfer = new OutgoingTransfer(
      this.lane,
      this.settings,
      layer,
      offer,
      subjectOf(layer.channel),
    );
    this.#outgoing.set(offer.transfer, transfer);
    try {
      await transfer.run(signal);
    } finally {
      this.#outgoing.delete(offer.transfer);
    }
  }

  receive(channel: string, options: ReceiveOptions = {}): AsyncIterableIterator<IncomingLayer> {
    assertChannel(channel);
    const inbox = new LayerInbox(options, () => this.#forget(inbox));
    const end = this.lane.subscribe(
      subjectOf(channel),
      (message) => this.#offered(inbox, message),
      { queue: options.group ?? 'one' },
    );
    this.#inboxes.set(inbox, end);
    if (this.#closed) inbox.close();
    return inbox;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const inbox of this.#inboxes.keys()) inbox.close();
    for (const transfer of this.#incoming.values()) transfer.close();
    for (const transfer of this.#outgoing.values())
      transfer.abort('TENSOR_BUS_CLOSED', 'the bus is closed');
    for (const stop of this.#stop) stop();
    return Promise.resolve();
  }

  #offerOf({ channel, layer, attributes = {}, tensors }: OutgoingLayer): Offer {
    const transfer = randomBytes(12).toString('hex');
    return {
      type: 'offer',
      transfer,
      tag: randomInt(2 ** 32),
      reply: `${this.#endpoint}.s.${transfer}`,
      channel,
      layer,
      attributes,
      tensors: tensors.map(({ name, dtype, shape, byteLength }) => ({
        name,
        dtype,
        shape,
        byteLength,
      })),
      chunkBytes: Math.min(this.settings.chunkBytes, this.lane.maxPayloadBytes - chunkHeaderBytes),
      windowChunks: this.settings.windowChunks,
    };
  }

  #offered(inbox: LayerInbox, message: LaneMessage): void {
    const offer = decodeControl<Offer>(message.payload);
    message.release();
    if (offer?.type !== 'offer' || !isValid(offer)) return;
    const { transfer } = offer;
    const known = this.#incoming.get(transfer);
    if (known) return known.offered();
    const receiver = `${this.#endpoint}.r.${transfer}`;
    const outcome = this.#outcomes.get(transfer);
    if (outcome && outcome.type !== 'back') {
      this.lane.publish(offer.reply, [encodeControl({ ...outcome, receiver })]);
    } else if (inbox.size < maxQueuedOffers && this.#incoming.size < maxTransfers) {
      const granted = (incoming: IncomingTransfer): void =>
        inbox.push(new DeliveredLayer(offer, incoming));
      this.#incoming.set(
        transfer,
        new IncomingTransfer(this.lane, this.settings, offer, receiver, granted, (result) =>
          this.#settled(offer, result),
        ),
      );
    }
  }

  #settled({ transfer, reply }: Offer, outcome: Outcome): void {
    this.#incoming.delete(transfer);
    this.#outcomes.set(transfer, outcome);
    this.#replies.set(transfer, reply);
    const [oldest] = this.#outcomes.keys();
    if (this.#outcomes.size > maxRememberedOutcomes && oldest !== undefined) {
      this.#outcomes.delete(oldest);
      this.#replies.delete(oldest);
    }
  }

  #toSender(message: LaneMessage): void {
    const control = decodeControl<ReceiverMessage>(message.payload);
    const transfer = lastToken(message.subject);
    message.release();
    if (control) this.#outgoing.get(transfer)?.receive(control);
  }

  #toReceiver(message: LaneMessage): void {
    const transfer = lastToken(message.subject);
    const incoming = this.#incoming.get(transfer);
    if (incoming) return incoming.receive(message);
    message.release();
    const outcome = this.#outcomes.get(transfer);
    const reply = this.#replies.get(transfer);
    if (outcome && reply)
      this.lane.publish(reply, [
        encodeControl({ ...outcome, receiver: `${this.#endpoint}.r.${transfer}` }),
      ]);
  }

  #reconnected(): void {
    for (const transfer of this.#outgoing.values()) transfer.reconnected();
    for (const transfer of this.#incoming.values()) transfer.reconnected();
  }

  #forget(inbox: LayerInbox): void {
    this.#inboxes.get(inbox)?.();
    this.#inboxes.delete(inbox);
  }
}

function subjectOf(channel: string): string {
  return `emloc.tensors.${channel}`;
}

function lastToken(subject: string): string {
  return subject.slice(subject.lastIndexOf('.') + 1);
}

/** An offer comes from another process: its numbers decide how much is allocated. */
function isValid(offer: Offer): boolean {
  try {
    assertLayer(offer);
  } catch {
    return false;
  }
  const { chunkBytes, windowChunks, tensors } = offer;
  const totalBytes = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return (
    Number.isInteger(chunkBytes) &&
    chunkBytes >= 1024 &&
    Number.isInteger(windowChunks) &&
    windowChunks >= 1 &&
    totalBytes / chunkBytes < 2 ** 24
  );
}
