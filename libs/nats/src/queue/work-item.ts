import { messageOf } from '@emloc/checked';
import { Renewal, type Clock } from '@emloc/time';
import type { JsMsg } from '@nats-io/jetstream';

import { isNatsError, NatsError } from '../errors.js';
import type { RecordStore } from '../records/record-store.js';

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

/** How a worker holds an item. */
interface HoldOptions {
  readonly owner: string;
  /** An item whose worker is silent for so long goes to another. */
  readonly ackWaitMs: number;
  readonly maxAttempts: number;
  readonly heartbeatMs?: number;
  readonly clock?: Clock;
}

/** An item whose record says that this worker has it. */
export class ClaimedItem<T, R> implements WorkItem<T, R> {
  readonly #lost = new AbortController();
  readonly #renewal: Renewal;

  constructor(
    readonly key: string,
    readonly payload: T,
    readonly attempt: number,
    readonly token: number,
    private readonly message: JsMsg,
    private readonly records: RecordStore<WorkState<R>>,
    private readonly options: HoldOptions,
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
