import { at } from '@emloc/checked';
import type { Batch, RowSource } from '@emloc/models';

/** Gives the batches of a run in their order, and loads each while the one before it is used. */
export class BatchReader {
  #next = 0;
  #loading: Promise<Batch> | null = null;

  constructor(
    private readonly source: RowSource,
    private readonly batches: readonly (readonly number[])[],
  ) {}

  async next(): Promise<Batch> {
    const batch = await (this.#loading ?? this.#load());
    this.#next += 1;
    this.#loading = this.#next < this.batches.length ? this.#load() : null;
    return batch;
  }

  #load(): Promise<Batch> {
    const loading = this.source.load(at(this.batches, this.#next));
    // Awaited when its turn comes, which an error before it may prevent.
    loading.catch(() => undefined);
    return loading;
  }
}
