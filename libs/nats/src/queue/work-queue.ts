import { Backoff, type Clock } from '@emloc/time';
import {
  AckPolicy,
  jetstream,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type Consumer,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
} from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';

import {
  orUnanswered,
  reconnectPauses,
  requestTimeoutMs,
  retryTransient,
} from '../connection/retry.js';
import { isNatsError } from '../errors.js';
import { openRecordStore, type RecordStore, type Versioned } from '../records/record-store.js';
import { deleteMessages } from '../streams/purge-messages.js';
import { ClaimedItem, type WorkItem, type WorkState } from './work-item.js';

export interface WorkQueueOptions {
  readonly nats: NatsConnection;
  /** Letters, digits, `_` and `-`. */
  readonly name: string;
  /** This worker, in records. */
  readonly owner: string;
  /** An item whose worker is silent for so long goes to another. */
  readonly ackWaitMs?: number;
  /** How often a worker says that it is at work; a third of `ackWaitMs` when left out. */
  readonly heartbeatMs?: number;
  /** Attempts before an item is a dead letter. */
  readonly maxAttempts?: number;
  readonly replicas?: number;
  /** Of the heartbeats. */
  readonly clock?: Clock;
}

/**
 * Work shared by replicas, an item a layer: a JetStream work queue hands items out and again when a
 * worker falls silent; a record an item decides whose result counts.
 */
export interface WorkQueue<T, R> {
  /** Adds an item; again with the same key is harmless. */
  add(key: string, payload: T): Promise<void>;
  /** Items as they come, until `signal` aborts. Ask for the next when you have room for it. */
  take(signal: AbortSignal): AsyncIterableIterator<WorkItem<T, R>>;
  state(key: string): Promise<WorkState<R> | undefined>;
  /** @param filter as in `RecordStore.list` */
  states(filter?: string): Promise<ReadonlyMap<string, WorkState<R>>>;
  /** What is there, then every change. */
  watch(
    filter: string,
    signal: AbortSignal,
  ): AsyncIterableIterator<{ readonly key: string; readonly state: WorkState<R> }>;
  /** Gives a dead letter its attempts again. @throws NatsError RECORD_NOT_FOUND */
  revive(key: string, payload: T): Promise<void>;
  /**
   * Forgets items, queued or done, so that their workers become stale.
   * @param filter as in `RecordStore.list`
   */
  remove(filter: string): Promise<void>;
  /** Deletes the queue with all that it knows. Again is harmless. */
  destroy(): Promise<void>;
}

interface Envelope<T> {
  readonly key: string;
  readonly payload: T;
}

const consumerName = 'workers';
/** JetStream's error code. */
const streamNotFound = 10059;
const takeExpiresMs = 2000;

/** Opens a queue, making its stream, consumer and records when they are missing. */
export async function openWorkQueue<T, R>(options: WorkQueueOptions): Promise<WorkQueue<T, R>> {
  const { nats, name, ackWaitMs = 30_000, replicas = 1 } = options;
  const manager = await retryTransient(() => jetstreamManager(nats, { timeout: requestTimeoutMs }));
  const stream = streamOf(name);
  const config = {
    subjects: [`emloc.work.${name}.>`],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    num_replicas: replicas,
  };
  await retryTransient(() => manager.streams.add({ name: stream, ...config }));
  // How often is decided by the records, which survive what the server's own count does not: a
  // worker that dies with it.
  await retryTransient(() =>
    manager.consumers.add(stream, {
      durable_name: consumerName,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ackWaitMs),
      max_deliver: -1,
      max_ack_pending: 10_000,
    }),
  );
  const client = jetstream(nats, { timeout: requestTimeoutMs });
  const records = await openRecordStore<WorkState<R>>({ nats, bucket: bucketOf(name), replicas });
  return new JetStreamWorkQueue<T, R>(
    { ...options, ackWaitMs, maxAttempts: options.maxAttempts ?? 5 },
    stream,
    client,
    records,
  );
}

function streamOf(name: string): string {
  return `WORK_${name}`;
}

/** Of a queue's records. */
function bucketOf(name: string): string {
  return `work-${name}`;
}

/**
 * Deletes a queue with all that it knows, without opening it: a worker may do so at the same time,
 * and a server that makes and deletes a stream at once may lose the parts of it that opening needs.
 * Again, or where there is none, is harmless.
 */
export async function destroyWorkQueue({
  nats,
  name,
}: Pick<WorkQueueOptions, 'nats' | 'name'>): Promise<void> {
  const manager = await retryTransient(() => jetstreamManager(nats, { timeout: requestTimeoutMs }));
  for (const stream of [streamOf(name), `KV_${bucketOf(name)}`]) {
    await retryTransient(() => manager.streams.delete(stream)).catch((error: unknown) => {
      if (!(error instanceof JetStreamApiError && error.code === streamNotFound)) throw error;
    });
  }
}

class JetStreamWorkQueue<T, R> implements WorkQueue<T, R> {
  constructor(
    private readonly options: WorkQueueOptions & { ackWaitMs: number; maxAttempts: number },
    private readonly stream: string,
    private readonly client: JetStreamClient,
    private readonly records: RecordStore<WorkState<R>>,
  ) {}

  async add(key: string, payload: T): Promise<void> {
    try {
      await this.records.create(key, { state: 'queued' });
    } catch (error) {
      if (!isNatsError(error, 'RECORD_EXISTS')) throw error;
      // The first call may have died before it published.
      if ((await this.state(key))?.state !== 'queued') return;
    }
    await this.#publish(key, payload, key);
  }

  async *take(signal: AbortSignal): AsyncGenerator<WorkItem<T, R>, void, undefined> {
    let consumer: Consumer | undefined;
    const backoff = new Backoff(reconnectPauses, { signal });
    while (!signal.aborted) {
      try {
        consumer ??= await orUnanswered(this.client.consumers.get(this.stream, consumerName));
        const message = await orUnanswered(consumer.next({ expires: takeExpiresMs }));
        backoff.succeeded();
        if (message && signal.aborted) message.nak();
        const item = message && !signal.aborted ? await this.#claim(message) : undefined;
        if (item) yield item;
      } catch (error) {
        if (isNatsError(error)) throw error;
        // The server is away; what it had handed out comes again.
        consumer = undefined;
        await backoff.failed();
      }
    }
  }

  async state(key: string): Promise<WorkState<R> | undefined> {
    return (await this.records.get(key))?.value;
  }

  async states(filter?: string): Promise<ReadonlyMap<string, WorkState<R>>> {
    return new Map((await this.records.list(filter)).map(({ key, value }) => [key, value]));
  }

  async *watch(
    filter: string,
    signal: AbortSignal,
  ): AsyncGenerator<{ key: string; state: WorkState<R> }, void, undefined> {
    for await (const change of this.records.watch(filter, signal)) {
      if (change.kind === 'put') yield { key: change.key, state: change.value };
    }
  }

  async revive(key: string, payload: T): Promise<void> {
    const { revision } = await this.records.modify(key, (value) =>
      value.state === 'dead' ? { state: 'queued' } : value,
    );
    await this.#publish(key, payload, `${key}.${revision}`);
  }

  async remove(filter: string): Promise<void> {
    const manager = await retryTransient(() => this.client.jetstreamManager());
    await this.#removeMessages(manager, `emloc.work.${this.options.name}.${filter}`);
    for (const { key } of await this.records.list(filter)) await this.records.delete(key);
  }

  /**
   * One by one: after a purge by subject, nats-server 2.9 hands out none of what else is in the
   * queue, and counts what was purged as stored. No second consumer may look for them, so that each
   * round finds the newest message of each subject.
   */
  async #removeMessages(manager: JetStreamManager, filter: string): Promise<void> {
    for (;;) {
      const { state } = await retryTransient(() =>
        manager.streams.info(this.stream, { subjects_filter: filter }),
      );
      const newest = Object.keys(state.subjects ?? {}).map((subject) =>
        retryTransient(() => manager.streams.getMessage(this.stream, { last_by_subj: subject })),
      );
      const messages = (await Promise.all(newest)).filter((message) => message !== null);
      if (messages.length === 0) return;
      await deleteMessages(
        { manager, stream: this.stream },
        messages.map(({ seq }) => seq),
      );
    }
  }

  destroy(): Promise<void> {
    return destroyWorkQueue(this.options);
  }

  async #publish(key: string, payload: T, messageId: string): Promise<void> {
    const envelope: Envelope<T> = { key, payload };
    await retryTransient(() =>
      this.client.publish(`emloc.work.${this.options.name}.${key}`, JSON.stringify(envelope), {
        msgID: messageId,
        timeout: requestTimeoutMs,
      }),
    );
  }

  /** @returns undefined when there is nothing to do for this message */
  async #claim(message: JsMsg): Promise<WorkItem<T, R> | undefined> {
    const { key, payload } = message.json<Envelope<T>>();
    const record = await this.records.get(key);
    const isOver = !record || record.value.state === 'done' || record.value.state === 'dead';
    const isDouble = record?.value.state === 'running' && record.value.message !== message.seq;
    if (isOver || isDouble) {
      message.term();
      return undefined;
    }
    const attempt = record.value.state === 'running' ? record.value.attempt + 1 : 1;
    if (attempt > this.options.maxAttempts)
      return this.#bury(record, message, `${attempt - 1} workers took it and fell silent`);
    try {
      const claimed = await this.records.update(
        key,
        { state: 'running', owner: this.options.owner, attempt, message: message.seq },
        record.revision,
      );
      return new ClaimedItem(
        key,
        payload,
        attempt,
        claimed.revision,
        message,
        this.records,
        this.options,
      );
    } catch (error) {
      return this.#leave(message, error);
    }
  }

  async #bury(record: Versioned<WorkState<R>>, message: JsMsg, reason: string): Promise<undefined> {
    try {
      await this.records.update(
        record.key,
        { state: 'dead', attempt: this.options.maxAttempts, error: reason },
        record.revision,
      );
    } catch (error) {
      return this.#leave(message, error);
    }
    message.term();
    return undefined;
  }

  /** Somebody else has changed the record: the next delivery sees what became of it. */
  #leave(message: JsMsg, error: unknown): undefined {
    if (!isNatsError(error, 'RECORD_CONFLICT')) throw error;
    message.nak(1000);
    return undefined;
  }
}
