import type { LayerSource, Lease, Pager, PagerStatistics } from '@emloc/weight-pager';

/**
 * A pager over one of several models of equal layouts at a time: what schedules and acquires need
 * not know which.
 */
export class LevelPager implements Pager {
  #pager: Pager;
  #level: number;

  constructor(
    private readonly levels: readonly LayerSource[],
    first: number,
    private readonly open: (source: LayerSource) => Pager,
  ) {
    this.#level = first;
    this.#pager = this.#opened(first);
  }

  get level(): number {
    return this.#level;
  }

  get statistics(): PagerStatistics {
    return this.#pager.statistics;
  }

  /** Goes on with another model, whose accesses are to be scheduled. */
  async change(level: number): Promise<void> {
    if (level === this.#level) return;
    await this.#pager.close();
    this.#level = level;
    this.#pager = this.#opened(level);
  }

  schedule(order: readonly number[], repeat?: number): void {
    this.#pager.schedule(order, repeat);
  }

  acquire(layer: number): Promise<Lease> {
    return this.#pager.acquire(layer);
  }

  pass(layers: readonly number[]): boolean {
    return this.#pager.pass(layers);
  }

  close(): Promise<void> {
    return this.#pager.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #opened(level: number): Pager {
    const source = this.levels[level];
    if (!source) throw new RangeError(`level ${level} of ${this.levels.length}`);
    return this.open(source);
  }
}
