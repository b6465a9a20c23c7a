import { Backoff } from '@emloc/time';
import {
  AckPolicy,
  DeliverPolicy,
  jetstream,
  jetstreamManager,
  StorageType,
  type StoredMsg,
} from '@nats-io/jetstream';
import { errors, nanos, type NatsConnection } from '@nats-io/transport-node';

import {
  isConflict,
  orUnanswered,
  reconnectPauses,
  requestTimeoutMs,
  retryTransient,
} from '../connection/retry.js';
import { NatsError } from '../errors.js';
import { purgeMessages, type StreamAccess } from '../streams/purge-messages.js';

/** An event and its number within its topic: 1, 2, 3 and so on. */
export interface NumberedEvent<E> {
  readonly topic: string;
  readonly number: number;
  readonly event: E;
  /** Where the log has it; grows from event to event, over all topics. */
  readonly position: number;
}

/** The one who writes a topic. Appends one event after the other. */
export interface LogWriter<E> {
  /** The newest event; undefined: there is none. */
  readonly last: NumberedEvent<E> | undefined;
  /**
   * @throws NatsError LEASE_LOST when another writer has appended since this one was opened
   */
  append(event: E): Promise<NumberedEvent<E>>;
}

/**
 * Events by topic, numbered without gaps: of two writers of a topic, the one that was opened first
 * fails.
 */
export interface NumberedLog<E> {
  openWriter(topic: string): Promise<LogWriter<E>>;
  last(topic: string): Promise<NumberedEvent<E> | undefined>;
  /**
   * Up to `limit` events of a topic that follow a position, in order; 0: from the start. Fewer:
   * there are no more now.
   */
  read(topic: string, afterPosition: number, limit: number): Promise<readonly NumberedEvent<E>[]>;
  /**
   * Events of all topics that are appended from now on, until `signal` aborts; restarts of the
   * server leave none out.
   */
  tail(signal: AbortSignal): Promise<AsyncIterableIterator<NumberedEvent<E>>>;
  delete(topic: string): Promise<void>;
}

export interface NumberedLogOptions {
  readonly nats: NatsConnection;
  /** Letters, digits, `_` and `-`. */
  readonly name: string;
  readonly replicas?: number;
}

interface Envelope<E> {
  readonly number: number;
  readonly writer: string;
  readonly event: E;
}

const tailMessages = 256;
const tailExpiresMs = 2000;
const idleConsumerMs = 30_000;

/**
 * Opens a log, making its stream when it is missing. Topics are single tokens of letters, digits,
 * `_` and `-`.
 */
export async function openNumberedLog<E>({
  nats,
  name,
  replicas = 1,
}: NumberedLogOptions): Promise<NumberedLog<E>> {
  const manager = await retryTransient(() => jetstreamManager(nats, { timeout: requestTimeoutMs }));
  const stream = `NUMBERED_${name}`;
  await retryTransient(() =>
    manager.streams.add({
      name: stream,
      subjects: [`emloc.numbered.${name}.*`],
      storage: StorageType.File,
      num_replicas: replicas,
    }),
  );
  return new JetStreamNumberedLog<E>({
    nats,
    manager,
    client: jetstream(nats, { timeout: requestTimeoutMs }),
    stream,
    prefix: `emloc.numbered.${name}.`,
  });
}

interface LogStream extends StreamAccess {
  readonly prefix: string;
}

class JetStreamNumberedLog<E> implements NumberedLog<E> {
  constructor(private readonly at: LogStream) {}

  async openWriter(topic: string): Promise<LogWriter<E>> {
    return new TopicWriter<E>(this.at, topic, (await lastOf<E>(this.at, topic))?.event);
  }

  async last(topic: string): Promise<NumberedEvent<E> | undefined> {
    return (await lastOf<E>(this.at, topic))?.event;
  }

  async read(
    topic: string,
    afterPosition: number,
    limit: number,
  ): Promise<readonly NumberedEvent<E>[]> {
    const { manager, client, stream, prefix } = this.at;
    return retryTransient(async () => {
      const { name, num_pending: pending } = await manager.consumers.add(
        stream,
        consumerConfig(`${prefix}${topic}`, afterPosition),
      );
      try {
        const count = Math.min(limit, pending);
        if (count === 0) return [];
        const events: NumberedEvent<E>[] = [];
        const batch = await (
          await client.consumers.get(stream, name)
        ).fetch({ max_messages: count, expires: tailExpiresMs });
        for await (const message of batch)
          events.push(toEvent(topic, message.seq, message.json<Envelope<E>>()));
        if (events.length < count) throw new errors.TimeoutError();
        return events;
      } finally {
        // The server forgets an idle consumer by itself, only later.
        void manager.consumers.delete(stream, name).catch(() => undefined);
      }
    });
  }

  async tail(signal: AbortSignal): Promise<AsyncIterableIterator<NumberedEvent<E>>> {
    const { state } = await retryTransient(() => this.at.manager.streams.info(this.at.stream));
    return this.#follow(state.last_seq, signal);
  }

  async delete(topic: string): Promise<void> {
    await purgeMessages(this.at, `${this.at.prefix}${topic}`);
  }

  async *#follow(
    afterPosition: number,
    signal: AbortSignal,
  ): AsyncGenerator<NumberedEvent<E>, void, undefined> {
    let last = afterPosition;
    const backoff = new Backoff(reconnectPauses, { signal });
    while (!signal.aborted) {
      try {
        for await (const event of this.#fetchAll(last, signal)) {
          last = event.position;
          backoff.succeeded();
          yield event;
        }
      } catch {
        // The server is away: read on after the last event when it is back.
        await backoff.failed();
      }
    }
  }

  async *#fetchAll(
    afterPosition: number,
    signal: AbortSignal,
  ): AsyncGenerator<NumberedEvent<E>, void, undefined> {
    const { manager, client, stream, prefix } = this.at;
    const { name } = await orUnanswered(
      manager.consumers.add(stream, consumerConfig(`${prefix}*`, afterPosition)),
    );
    const consumer = await orUnanswered(client.consumers.get(stream, name));
    try {
      while (!signal.aborted) {
        const batch = await orUnanswered(
          consumer.fetch({ max_messages: tailMessages, expires: tailExpiresMs }),
        );
        const stop = (): void => batch.stop();
        signal.addEventListener('abort', stop, { once: true });
        try {
          for await (const message of batch)
            yield toEvent(
              message.subject.slice(prefix.length),
              message.seq,
              message.json<Envelope<E>>(),
            );
        } finally {
          signal.removeEventListener('abort', stop);
        }
      }
    } finally {
      void manager.consumers.delete(stream, name).catch(() => undefined);
    }
  }
}

class TopicWriter<E> implements LogWriter<E> {
  readonly #id = crypto.randomUUID();

  constructor(
    private readonly at: LogStream,
    private readonly topic: string,
    public last: NumberedEvent<E> | undefined,
  ) {}

  async append(event: E): Promise<NumberedEvent<E>> {
    const number = (this.last?.number ?? 0) + 1;
    const envelope: Envelope<E> = { number, writer: this.#id, event };
    this.last = toEvent(this.topic, await this.#publish(envelope), envelope);
    return this.last;
  }

  async #publish(envelope: Envelope<E>): Promise<number> {
    const { client, prefix } = this.at;
    const expect = { lastSubjectSequence: this.last?.position ?? 0 };
    try {
      const { seq } = await retryTransient(() =>
        client.publish(`${prefix}${this.topic}`, JSON.stringify(envelope), {
          expect,
          timeout: requestTimeoutMs,
        }),
      );
      return seq;
    } catch (cause) {
      if (!isConflict(cause)) throw cause;
      // An attempt whose answer was lost has written it.
      const standing = await lastOf<E>(this.at, this.topic);
      if (standing?.event.number === envelope.number && standing.writer === this.#id)
        return standing.event.position;
      throw new NatsError(
        'LEASE_LOST',
        `events: another writer has appended to ${this.topic} after event ${envelope.number - 1}`,
        { cause },
      );
    }
  }
}

async function lastOf<E>(
  { manager, stream, prefix }: LogStream,
  topic: string,
): Promise<{ event: NumberedEvent<E>; writer: string } | undefined> {
  const message: StoredMsg | null = await retryTransient(() =>
    manager.streams.getMessage(stream, { last_by_subj: `${prefix}${topic}` }),
  );
  if (!message) return undefined;
  const envelope = message.json<Envelope<E>>();
  return { event: toEvent(topic, message.seq, envelope), writer: envelope.writer };
}

function consumerConfig(subject: string, afterPosition: number) {
  return {
    filter_subject: subject,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: afterPosition + 1,
    inactive_threshold: nanos(idleConsumerMs),
    mem_storage: true,
  };
}

function toEvent<E>(
  topic: string,
  position: number,
  { number, event }: Envelope<E>,
): NumberedEvent<E> {
  return { topic, number, event, position };
}
