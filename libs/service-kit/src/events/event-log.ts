import { DeliverPolicy, jetstream, jetstreamManager, StorageType, type JetStreamClient } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { setTimeout as sleep } from 'node:timers/promises';

import { requestTimeoutMs, retryTransient } from '../nats/retry.js';

/** `sequence` only grows; reading on after it misses nothing. */
export interface LoggedEvent<E> {
  readonly sequence: number;
  readonly event: E;
}

/** Events by topic (a job, say), kept and replayed in order. */
export interface EventLog<E> {
  /**
   * @param id makes repeating the call harmless for two minutes
   * @returns the event's sequence number
   */
  append(topic: string, event: E, id?: string): Promise<number>;
  /** Events of a topic after a sequence number, then those to come, until `signal` aborts. A slow reader slows nobody. */
  follow(topic: string, afterSequence: number, signal: AbortSignal): AsyncIterableIterator<LoggedEvent<E>>;
  delete(topic: string): Promise<void>;
}

export interface EventLogOptions {
  readonly nats: NatsConnection;
  /** Letters, digits, `_` and `-`. */
  readonly name: string;
  readonly maxAgeMs?: number;
  readonly replicas?: number;
}

const fetchMessages = 64;
const fetchExpiresMs = 2000;

/** Opens a log, making its stream when it is missing. */
export async function openEventLog<E>({ nats, name, maxAgeMs, replicas = 1 }: EventLogOptions): Promise<EventLog<E>> {
  const manager = await jetstreamManager(nats, { timeout: requestTimeoutMs });
  const maxAge = maxAgeMs === undefined ? {} : { max_age: maxAgeMs * 1_000_000 };
  await retryTransient(() => manager.streams.add({ name: `EVENTS_${name}`, subjects: [`emloc.events.${name}.>`], storage: StorageType.File, num_replicas: replicas, ...maxAge }));
  return new JetStreamEventLog<E>(jetstream(nats, { timeout: requestTimeoutMs }), name);
}

class JetStreamEventLog<E> implements EventLog<E> {
  constructor(
    private readonly client: JetStreamClient,
    private readonly name: string,
  ) {}

  async append(topic: string, event: E, id: string = crypto.randomUUID()): Promise<number> {
    const { seq } = await retryTransient(() => this.client.publish(this.#subject(topic), JSON.stringify(event), { msgID: id, timeout: requestTimeoutMs }));
    return seq;
  }

  async *follow(topic: string, afterSequence: number, signal: AbortSignal): AsyncGenerator<LoggedEvent<E>, void, undefined> {
    let last = afterSequence;
    while (!signal.aborted) {
      try {
        for await (const logged of this.#read(topic, last, signal)) {
          last = logged.sequence;
          yield logged;
        }
      } catch {
        // The server is away: read on from the last event when it is back.
        await sleep(200, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async delete(topic: string): Promise<void> {
    const manager = await this.client.jetstreamManager();
    await retryTransient(() => manager.streams.purge(`EVENTS_${this.name}`, { filter: this.#subject(topic) }));
  }

  /** Reads in batches, so that a reader that stops asking gets nothing. */
  async *#read(topic: string, afterSequence: number, signal: AbortSignal): AsyncGenerator<LoggedEvent<E>, void, undefined> {
    const consumer = await this.client.consumers.get(`EVENTS_${this.name}`, {
      filter_subjects: this.#subject(topic),
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: afterSequence + 1,
    });
    try {
      while (!signal.aborted) {
        const batch = await consumer.fetch({ max_messages: fetchMessages, expires: fetchExpiresMs });
        const stop = (): void => batch.stop();
        signal.addEventListener('abort', stop, { once: true });
        for await (const message of batch) yield { sequence: message.seq, event: message.json<E>() };
        signal.removeEventListener('abort', stop);
      }
    } finally {
      // The server forgets an idle consumer by itself, only later.
      void consumer.delete().catch(() => undefined);
    }
  }

  #subject(topic: string): string {
    return `emloc.events.${this.name}.${topic}`;
  }
}
