import type { Batch, RowSource } from '@emloc/models';

/** Gives the batches of a run in their order, and loads each while the one before it is used. */
export class BatchReader {
  #loading: Promise<Batch> | null = null;

  constructor(
    private readonly source: RowSource,
    private readonly batches: Iterator<readonly number[]>,
  ) {}

  /** @throws RangeError after the last one */
  async next(): Promise<Batch> {
    const loading = this.#loading ?? this.#load();
    if (!loading) throw new RangeError('a batch is read after the last one');
    const batch = await loading;
    this.#loading = this.#load();
    return batch;
  }

  #load(): Promise<Batch> | null {
    const { done, value } = this.batches.next();
    if (done) return null;
    const loading = this.source.load(value);
    // Awaited when its turn comes, which an error before it may prevent.
    loading.catch(() => undefined);
    return loading;
  }
}
