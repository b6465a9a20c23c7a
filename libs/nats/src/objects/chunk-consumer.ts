import { randomUUID } from 'node:crypto';
import { systemClock, type Clock } from '@emloc/time';
import { nanos } from '@nats-io/transport-node';

import type { LaneMessage } from '../connection/lane-parser.js';
import type { Lane } from '../connection/lane.js';

export interface ConsumerSettings {
  readonly lane: Lane;
  readonly stream: string;
  readonly subject: string;
  readonly clock?: Clock;
}

/** What a consumer tells its owner. */
export interface ConsumerEvents {
  /** @param pending chunks that it will deliver, of those that are stored */
  opened(pending: number): void;
  /**
   * The next chunk, whose memory is the owner's.
   * @param sequence in the stream
   */
  chunk(message: LaneMessage, sequence: number): void;
  /** A chunk was lost, with a connection: the consumer is of no more use. */
  gap(): void;
  streamMissing(): void;
}

interface ConsumerAnswer {
  readonly name?: string;
  readonly num_pending?: number;
  readonly error?: { readonly code: number; readonly err_code?: number };
}

/** JetStream's error code. */
const streamNotFound = 10059;
const requestExpiresMs = 30_000;
const inactiveMs = 60_000;

/**
 * A pull consumer without acknowledgements over a lane: hands out the chunks of a subject in the
 * order of the stream, as they are asked for.
 */
export class ChunkConsumer {
  readonly #inbox: string;
  readonly #stop: (() => void)[];
  #name: string | undefined;
  #opening = 0;
  #generation = 0;
  #unsubscribe: () => void = () => {};
  #lastSequence = 0;
  #requested = 0;
  readonly #clock: Clock;
  #heardMs: number;

  constructor(
    private readonly settings: ConsumerSettings,
    private readonly events: ConsumerEvents,
  ) {
    const { lane, clock = systemClock } = settings;
    this.#clock = clock;
    this.#heardMs = clock.now();
    this.#inbox = `${lane.inbox}.${randomUUID()}`;
    this.#stop = [
      lane.subscribe(`${this.#inbox}.create.*`, (message) => this.#answered(message)),
      // The server may have forgotten it, or what it had on its way.
      lane.onReconnect(() => {
        this.#heardMs = -Infinity;
      }),
    ];
  }

  get isOpen(): boolean {
    return this.#name !== undefined;
  }

  /** Chunks that were asked for and have not come. */
  get requested(): number {
    return this.#requested;
  }

  /** Time since the server last said something. */
  get silentMs(): number {
    return this.#clock.now() - this.#heardMs;
  }

  /**
   * Makes a consumer that begins at a sequence, in place of the one before. Without an answer it is
   * not open.
   */
  open(sequence: number): void {
    const { lane, stream, subject } = this.settings;
    this.#drop();
    this.#heardMs = this.#clock.now();
    this.#opening += 1;
    const config = {
      filter_subject: subject,
      ack_policy: 'none',
      replay_policy: 'instant',
      inactive_threshold: nanos(inactiveMs),
      mem_storage: true,
      ...(sequence > 1
        ? { deliver_policy: 'by_start_sequence', opt_start_seq: sequence }
        : { deliver_policy: 'all' }),
    };
    lane.publish(`$JS.API.CONSUMER.CREATE.${stream}`, [toJson({ stream_name: stream, config })], {
      reply: `${this.#inbox}.create.${this.#opening}`,
    });
  }

  /** Asks for chunks; they come as they are stored. */
  request(batch: number): void {
    const { lane, stream } = this.settings;
    this.#requested += batch;
    lane.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${this.#name}`,
      [toJson({ batch, expires: nanos(requestExpiresMs) })],
      { reply: `${this.#inbox}.${this.#generation}` },
    );
  }

  close(): void {
    this.#drop();
    for (const stop of this.#stop) stop();
  }

  #drop(): void {
    this.#unsubscribe();
    if (this.#name)
      this.settings.lane.publish(
        `$JS.API.CONSUMER.DELETE.${this.settings.stream}.${this.#name}`,
        [],
      );
    this.#name = undefined;
    this.#requested = 0;
  }

  #answered(message: LaneMessage): void {
    const isLatest = message.subject === `${this.#inbox}.create.${this.#opening}`;
    const { name, num_pending: pending = 0, error } = answerOf(message);
    if (error?.err_code === streamNotFound) return this.events.streamMissing();
    if (!isLatest || !name) return;
    this.#name = name;
    this.#lastSequence = 0;
    // Chunks arrive under their own subject, so that only a subscription of its own tells a
    // consumer's from its predecessor's.
    this.#generation += 1;
    this.#unsubscribe = this.settings.lane.subscribe(
      `${this.#inbox}.${this.#generation}`,
      (chunk) => this.#received(chunk),
    );
    this.events.opened(pending);
  }

  #received(message: LaneMessage): void {
    const found = message.reply === undefined ? undefined : placeOf(message.reply);
    if (!found) return this.#status(message);
    if (found.consumerSequence !== this.#lastSequence + 1) {
      message.release();
      return this.events.gap();
    }
    this.#heardMs = this.#clock.now();
    this.#lastSequence = found.consumerSequence;
    this.#requested -= 1;
    this.events.chunk(message, found.sequence);
  }

  /**
   * The server ends a request: it expired, or the consumer is gone. What it still owed is to be
   * asked for again.
   */
  #status(message: LaneMessage): void {
    message.release();
    this.#requested = 0;
    this.#heardMs = -Infinity;
  }
}

function toJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function answerOf(message: LaneMessage): ConsumerAnswer {
  const answer =
    message.payload.length > 0
      ? (JSON.parse(Buffer.from(message.payload).toString('utf8')) as ConsumerAnswer)
      : {};
  message.release();
  return answer;
}

/**
 * `$JS.ACK.stream.consumer.delivered.streamSequence.consumerSequence.time.pending`, newer servers
 * with domain and account first.
 */
function placeOf(
  reply: string,
): { readonly sequence: number; readonly consumerSequence: number } | undefined {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const shift = tokens.length >= 11 ? 2 : 0;
  return {
    sequence: Number(tokens[5 + shift]),
    consumerSequence: Number(tokens[6 + shift]),
  };
}
