import { messageOf } from '@emloc/checked';
import { Backoff, Renewal, type Clock } from '@emloc/time';
import {
  AckPolicy,
  jetstream,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type Consumer,
  type JetStreamClient,
  type JsMsg,
} from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';

import {
  orUnanswered,
  reconnectPauses,
  requestTimeoutMs,
  retryTransient,
} from '../connection/retry.js';
import { isNatsError, NatsError } from '../errors.js';
import { openRecordStore, type RecordStore, type Versioned } from '../records/record-store.js';

/** What is known of an item. `result` is there once, whoever computed it. */
export type WorkState<R> =
  | { readonly state: 'queued' }
  | {
      readonly state: 'running';
      readonly owner: string;
      readonly attempt: number;
      readonly message: number;
    }
  | { readonly state: 'done'; readonly owner: string; readonly attempt: number; readonly result: R }
  | { readonly state: 'dead'; readonly attempt: number; readonly error: string };

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

/** An item in this worker's hands. */
export interface WorkItem<T, R> {
  readonly key: string;
  readonly payload: T;
  /** From 1 on. */
  readonly attempt: number;
  /** Fencing token: larger than every earlier worker's of this item. */
  readonly token: number;
  /** Aborts when another worker has got the item. */
  readonly lost: AbortSignal;
  /**
   * Stores the result.
   * @throws NatsError WORK_STALE when another worker has the item: the result is dropped
   */
  complete(result: R): Promise<void>;
  /**
   * Gives the item back: to be tried again, or as a dead letter when it cannot succeed or has been
   * tried enough.
   */
  fail(error: Error, options?: { retryable?: boolean; delayMs?: number }): Promise<void>;
  /** Gives the item back untried, for a worker that stops. */
  release(): Promise<void>;
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
  const stream = `WORK_${name}`;
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
  const records = await openRecordStore<WorkState<R>>({ nats, bucket: `work-${name}`, replicas });
  return new JetStreamWorkQueue<T, R>(
    { ...options, ackWaitMs, maxAttempts: options.maxAttempts ?? 5 },
    stream,
    client,
    records,
  );
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
    await retryTransient(() =>
      manager.streams.purge(this.stream, { filter: `emloc.work.${this.options.name}.${filter}` }),
    );
    for (const { key } of await this.records.list(filter)) await this.records.delete(key);
  }

  async destroy(): Promise<void> {
    const manager = await retryTransient(() => this.client.jetstreamManager());
    for (const stream of [this.stream, `KV_${this.#bucket}`]) {
      await retryTransient(() => manager.streams.delete(stream)).catch((error: unknown) => {
        if (!(error instanceof JetStreamApiError && error.code === streamNotFound)) throw error;
      });
    }
  }

  get #bucket(): string {
    return `work-${this.options.name}`;
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

class ClaimedItem<T, R> implements WorkItem<T, R> {
  readonly #lost = new AbortController();
  readonly #renewal: Renewal;

  constructor(
    readonly key: string,
    readonly payload: T,
    readonly attempt: number,
    readonly token: number,
    private readonly message: JsMsg,
    private readonly records: RecordStore<WorkState<R>>,
    private readonly options: {
      owner: string;
      ackWaitMs: number;
      maxAttempts: number;
      heartbeatMs?: number;
      clock?: Clock;
    },
  ) {
    this.#renewal = new Renewal({
      everyMs: options.heartbeatMs ?? options.ackWaitMs / 3,
      renew: () => this.#renew(),
      onLost: () => this.#lost.abort(this.#stale()),
      clock: options.clock,
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async complete(result: R): Promise<void> {
    const { attempt } = this;
    await this.#commit({ state: 'done', owner: this.options.owner, attempt, result });
    this.message.ack();
  }

  async fail(
    error: Error,
    { retryable = true, delayMs = 1000 }: { retryable?: boolean; delayMs?: number } = {},
  ): Promise<void> {
    if (retryable && this.attempt < this.options.maxAttempts) {
      void this.#renewal.end();
      return this.message.nak(delayMs);
    }
    await this.#commit({ state: 'dead', attempt: this.attempt, error: messageOf(error) });
    this.message.term();
  }

  async release(): Promise<void> {
    const { attempt } = this;
    await this.#commit(
      attempt > 1
        ? {
            state: 'running',
            owner: this.options.owner,
            attempt: attempt - 1,
            message: this.message.seq,
          }
        : { state: 'queued' },
    );
    this.message.nak();
  }

  async #commit(state: WorkState<R>): Promise<void> {
    void this.#renewal.end();
    try {
      await this.records.update(this.key, state, this.token);
    } catch (cause) {
      if (!isNatsError(cause, 'RECORD_CONFLICT')) throw cause;
      throw this.#stale(cause);
    }
  }

  /** Whose record it is decides; while the server is away, nobody else gets the item either. */
  async #renew(): Promise<string | null> {
    this.message.working();
    const record = await this.records.get(this.key);
    return record?.revision === this.token ? null : 'another worker has it';
  }

  #stale(cause?: unknown): NatsError {
    return new NatsError(
      'WORK_STALE',
      `work: ${this.key} went to another worker than ${this.options.owner} (token ${this.token})`,
      { cause },
    );
  }
}
