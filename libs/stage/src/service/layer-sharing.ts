import { isNatsError, type WorkItem, type WorkQueue, type WorkState } from '@emloc/nats';
import { toRpcError } from '@emloc/rpc';
import type { StageLabel } from '@emloc/telemetry';
import { pause, systemClock, type Clock } from '@emloc/time';

import type { NamedBlock } from '../contract.js';
import { StageError } from './errors.js';
import type { StageAttempt } from './stage-attempt.js';
import { stageNumbers } from './stage-events.js';

export interface LayerSharingOptions<W, R> {
  readonly attempt: Pick<StageAttempt, 'signal'>;
  readonly queue: WorkQueue<W, R>;
  /** Told when more of the work is done, whoever did it. */
  readonly onProgress?: (done: number, total: number) => void;
  /**
   * How often what is done is read again, in case the watch has fallen silent around a lost
   * connection.
   */
  readonly pollMs?: number;
  readonly clock?: Clock;
}

/** An item of the work. */
export interface SharedItem {
  readonly key: string;
  /** Path in the model, for errors. */
  readonly layer?: string;
}

const defaultPollMs = 15_000;

/**
 * A replica's part in work that all replicas of a stage share: takes it item by item and hands in
 * what comes of it.
 */
export class LayerSharing<W, R> {
  readonly #stop = new AbortController();
  readonly #held = new Map<string, WorkItem<W, R>>();
  readonly #states = new Map<string, WorkState<R>>();
  readonly #items: AsyncIterator<WorkItem<W, R>>;
  /** Settles when all is done, something is given up, or the attempt is to end. */
  readonly #over: Promise<void>;
  #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } = {
    resolve: () => undefined,
    reject: () => undefined,
  };
  #shared: readonly SharedItem[] | null = null;
  #next: Promise<IteratorResult<WorkItem<W, R>>> | null = null;

  constructor(private readonly options: LayerSharingOptions<W, R>) {
    this.#over = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#over.catch(() => undefined);
    const { signal } = options.attempt;
    const abort = (): void => this.#settle.reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true, signal: this.#stop.signal });
    this.#items = options.queue.take(this.#signal());
  }

  /** Says what the work consists of; called first, and once. */
  begin(items: readonly SharedItem[]): void {
    this.#shared = items;
    if (items.length === 0) this.#settle.resolve();
    void this.#watch();
    void this.#poll();
  }

  /**
   * The next item, which this replica has until it completes or fails it; null when all is done.
   * @throws StageError LAYER_GIVEN_UP; the reason of the attempt's end
   */
  async next(): Promise<WorkItem<W, R> | null> {
    this.#next ??= this.#items.next();
    const next = await Promise.race([this.#next, this.#over]);
    this.options.attempt.signal.throwIfAborted();
    if (!next || next.done) {
      this.#stop.abort();
      return null;
    }
    this.#next = null;
    this.#held.set(next.value.key, next.value);
    return next.value;
  }

  /** The item of this key, while this replica has it. */
  held(key: string): WorkItem<W, R> | undefined {
    return this.#held.get(key);
  }

  /**
   * Hands in what came of an item.
   * @returns false when another worker has it by now, so that it does not count
   */
  async complete(item: WorkItem<W, R>, result: R): Promise<boolean> {
    this.#letGo(item);
    try {
      await item.complete(result);
      return true;
    } catch (error) {
      if (!isNatsError(error, 'WORK_STALE')) throw error;
      return false;
    }
  }

  /** Gives an item back for another try. */
  async fail(item: WorkItem<W, R>, error: unknown): Promise<void> {
    this.#letGo(item);
    // The queue's record of it reaches the job's owner.
    await item.fail(toRpcError(error));
  }

  /**
   * What came of everything, in the order of the items, when all is done.
   * @throws StageError LAYER_GIVEN_UP; the reason of the attempt's end
   */
  async results(): Promise<readonly R[]> {
    await this.#over;
    return (this.#shared ?? []).flatMap(({ key }) => {
      const state = this.#states.get(key);
      return state?.state === 'done' ? [state.result] : [];
    });
  }

  /**
   * Gives back what is not finished: untried where the attempt was stopped, else as failed for this
   * reason.
   */
  async close(error: unknown): Promise<void> {
    this.#stop.abort();
    // The queue's last request may still bring an item, which nobody waits for.
    void this.#next
      ?.then(({ value }) => (value as WorkItem<W, R> | undefined)?.release())
      .catch(() => undefined);
    for (const item of [...this.#held.values()]) {
      const isStopped = this.options.attempt.signal.aborted;
      await (isStopped ? item.release() : this.fail(item, error)).catch(() => undefined);
    }
    this.#held.clear();
  }

  /** This replica may have lost an item and got it again: the new one stays in its hands. */
  #letGo(item: WorkItem<W, R>): void {
    if (this.#held.get(item.key) === item) this.#held.delete(item.key);
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.options.attempt.signal, this.#stop.signal]);
  }

  async #watch(): Promise<void> {
    try {
      for await (const { key, state } of this.options.queue.watch('>', this.#signal())) {
        this.#states.set(key, state);
        this.#changed();
      }
    } catch (error) {
      this.#settle.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #poll(): Promise<void> {
    const signal = this.#signal();
    const { pollMs = defaultPollMs, clock = systemClock } = this.options;
    const isOver = (state: WorkState<R> | undefined): boolean =>
      state?.state === 'done' || state?.state === 'dead';
    for (;;) {
      await pause(pollMs, { signal, clock });
      if (signal.aborted) return;
      const states = await this.options.queue.states().catch(() => new Map<string, WorkState<R>>());
      const missed = [...states].filter(
        ([key, state]) => isOver(state) && !isOver(this.#states.get(key)),
      );
      for (const [key, state] of missed) this.#states.set(key, state);
      if (missed.length > 0) this.#changed();
    }
  }

  #changed(): void {
    const items = this.#shared ?? [];
    const done = items.filter(({ key }) => this.#states.get(key)?.state === 'done').length;
    this.options.onProgress?.(done, items.length);
    for (const { key, layer } of items) {
      const state = this.#states.get(key);
      if (state?.state === 'dead')
        this.#settle.reject(
          new StageError('LAYER_GIVEN_UP', `${key} was tried too often: ${state.error}`, { layer }),
        );
    }
    if (done === items.length) this.#settle.resolve();
  }
}

/** Blocks as items of a job's work. */
export function blockItems(blocks: readonly NamedBlock[]): readonly SharedItem[] {
  return blocks.map(({ block, layer }) => ({ key: blockKey(block), layer }));
}

/** Key of a block among the items of a job. */
export function blockKey(block: number): string {
  return `block-${block}`;
}

/**
 * Takes part in work that the replicas of a stage share, tells how far it is, and gives back what
 * `run` leaves unfinished.
 */
export async function shareLayers<W, R, T>(
  attempt: StageAttempt,
  { stage, queue }: { readonly stage: StageLabel; readonly queue: WorkQueue<W, R> },
  run: (sharing: LayerSharing<W, R>) => Promise<T>,
): Promise<T> {
  const onProgress = (done: number, total: number): void =>
    attempt.emit({
      case: 'progress',
      value: {
        stage: stageNumbers[stage],
        task: 'layers',
        done: BigInt(done),
        total: BigInt(total),
      },
    });
  const sharing = new LayerSharing({ attempt, queue, onProgress });
  let failure: unknown = new Error('the attempt has ended');
  try {
    return await run(sharing);
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    await sharing.close(failure);
  }
}
