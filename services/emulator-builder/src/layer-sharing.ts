import { Stage } from '@emloc/contracts';
import { type LayerReport, type LayerResult, type LayerWork, tensorKeys } from '@emloc/job-storage';
import { isServiceKitError, type Moved, moved, type WorkItem, type WorkQueue, type WorkState } from '@emloc/service-kit';
import { movedRecord, type StageAttempt } from '@emloc/stage-runtime';
import type { BuildContract, BuildRequest } from './contract.js';
import { EmulatorBuilderError } from './errors.js';

type Answer = BuildContract['response'] | Moved<BuildContract['response']>;

/** A replica's part in the layers of a job: takes blocks from the queue for its engine and stores what comes of them. */
export class LayerSharing {
  readonly #stop = new AbortController();
  readonly #held = new Map<number, WorkItem<LayerWork, LayerResult>>();
  readonly #states = new Map<string, WorkState<LayerResult>>();
  readonly #items: AsyncIterator<WorkItem<LayerWork, LayerResult>>;
  /** Settles when every block is done, or one is given up. */
  readonly #over: Promise<void>;
  #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } = { resolve: () => undefined, reject: () => undefined };
  #blocks: readonly number[] | null = null;
  #next: Promise<IteratorResult<WorkItem<LayerWork, LayerResult>>> | null = null;

  constructor(
    private readonly attempt: StageAttempt,
    private readonly queue: WorkQueue<LayerWork, LayerResult>,
  ) {
    this.#over = new Promise((resolve, reject) => { this.#settle = { resolve, reject }; });
    this.#over.catch(() => undefined);
    this.#items = queue.take(AbortSignal.any([attempt.signal, this.#stop.signal]));
  }

  async answer(request: BuildRequest): Promise<Answer> {
    switch (request.type) {
      case 'blocks':
        this.#blocks = request.blocks;
        void this.#watch();
        return null;
      case 'next':
        return this.#nextBlock();
      case 'factors':
        await this.#store(request);
        return null;
      case 'reports':
        return this.#reports();
    }
  }

  /** Gives back what the engine has not finished, for another replica or a later attempt. */
  async close(error: unknown): Promise<void> {
    this.#stop.abort();
    for (const item of this.#held.values()) {
      const giveBack = this.attempt.signal.aborted ? item.release() : item.fail(error instanceof Error ? error : new Error(String(error)));
      await giveBack.catch(() => undefined);
    }
    this.#held.clear();
  }

  async #watch(): Promise<void> {
    const signal = AbortSignal.any([this.attempt.signal, this.#stop.signal]);
    try {
      for await (const { key, state } of this.queue.watch('>', signal)) {
        this.#states.set(key, state);
        this.#changed();
      }
    } catch (error) {
      this.#settle.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #changed(): void {
    const blocks = this.#blocks ?? [];
    const done = blocks.filter((block) => this.#states.get(`block-${block}`)?.state === 'done').length;
    this.attempt.emit({ case: 'progress', value: { stage: Stage.EMULATE, task: 'layers', done: BigInt(done), total: BigInt(blocks.length) } });
    const dead = blocks.find((block) => this.#states.get(`block-${block}`)?.state === 'dead');
    if (dead !== undefined) this.#settle.reject(deadLetter(dead, this.#states.get(`block-${dead}`)));
    else if (done === blocks.length) this.#settle.resolve();
  }

  async #nextBlock(): Promise<Answer> {
    for (;;) {
      this.#next ??= this.#items.next();
      const next = await Promise.race([this.#next, this.#over]);
      if (!next || next.done) {
        // The queue's last request may still bring an item: it is given back.
        this.#stop.abort();
        return null;
      }
      this.#next = null;
      const { value: item } = next;
      const { block, statistics } = item.payload;
      try {
        const record = await this.attempt.records.read('statistics', statistics);
        this.#held.set(block, item);
        const { value, transfer } = movedRecord(record);
        return moved({ block, record: value }, transfer);
      } catch (error) {
        await item.fail(error as Error);
      }
    }
  }

  async #store({ block, record, reports }: Extract<BuildRequest, { type: 'factors' }>): Promise<void> {
    const item = this.#held.get(block);
    if (!item) return;
    const { job, records, signal } = this.attempt;
    const key = tensorKeys.factors(job, block, item.token);
    await records.write('factors', key, record, signal);
    this.#held.delete(block);
    try {
      await item.complete({ block, factors: key, reports });
    } catch (error) {
      if (!isServiceKitError(error, 'WORK_STALE')) throw error;
      // Another worker has the block by now: what this one made does not count.
      return records.delete(key);
    }
    await records.delete(item.payload.statistics);
  }

  async #reports(): Promise<readonly LayerReport[]> {
    await this.#over;
    return (this.#blocks ?? []).flatMap((block) => {
      const state = this.#states.get(`block-${block}`);
      return state?.state === 'done' ? state.result.reports : [];
    });
  }
}

function deadLetter(block: number, state: WorkState<LayerResult> | undefined): EmulatorBuilderError {
  const reason = state?.state === 'dead' ? state.error : '';
  return new EmulatorBuilderError('LAYER_GIVEN_UP', `block ${block} was tried too often: ${reason}`);
}
