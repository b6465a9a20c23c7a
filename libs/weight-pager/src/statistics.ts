/** What a pager holds and has done since it was opened. */
export interface PagerStatistics {
  /** Bytes of the layers on the device, as its budget counts them. */
  readonly deviceBytes: number;
  readonly deviceBudgetBytes: number;
  /** Bytes of the host buffers, spare ones included. */
  readonly hostBytes: number;
  /** May be Infinity. */
  readonly hostBudgetBytes: number;
  /** Bytes of all layers as they are held in host memory. */
  readonly diskBytes: number;
  readonly acquisitions: number;
  /** Acquisitions that found their layer on the device or on its way there. */
  readonly hits: number;
  /** Layers given room on the device. */
  readonly pageIns: number;
  /** Layers that had to leave the device for others. */
  readonly pageOuts: number;
  readonly bytesMoved: { readonly diskToHost: number; readonly hostToDevice: number };
  /** Time that acquisitions waited for a layer that was not there yet. */
  readonly stallSeconds: number;
}

/**
 * `layer` is the index in the source. `bytes` are device bytes for page-in and page-out, those in
 * host memory otherwise.
 */
export type PagerEvent =
  | { readonly type: 'page-in'; readonly layer: number; readonly bytes: number }
  | { readonly type: 'page-out'; readonly layer: number; readonly bytes: number }
  | {
      readonly type: 'read';
      readonly layer: number;
      readonly bytes: number;
      readonly seconds: number;
    }
  | { readonly type: 'upload'; readonly layer: number; readonly bytes: number }
  | { readonly type: 'stall'; readonly layer: number; readonly seconds: number };

/** Told of everything a pager does, with the statistics after it. Must not throw. */
export type PagerObserver = (event: PagerEvent, statistics: PagerStatistics) => void;

type Counters = Pick<
  PagerStatistics,
  'acquisitions' | 'hits' | 'pageIns' | 'pageOuts' | 'stallSeconds'
> & {
  readonly bytesMoved: { diskToHost: number; hostToDevice: number };
};

/** Counts events and passes them on. */
export class PagerLog {
  readonly #counters: { -readonly [K in keyof Counters]: Counters[K] } = {
    acquisitions: 0,
    hits: 0,
    pageIns: 0,
    pageOuts: 0,
    stallSeconds: 0,
    bytesMoved: { diskToHost: 0, hostToDevice: 0 },
  };

  /** @param levels what the tiers hold now, and their budgets. */
  constructor(
    private readonly levels: () => Omit<PagerStatistics, keyof Counters>,
    private readonly observer?: PagerObserver,
  ) {}

  /** A snapshot. */
  get statistics(): PagerStatistics {
    return { ...this.levels(), ...this.#counters, bytesMoved: { ...this.#counters.bytesMoved } };
  }

  acquired(isHit: boolean): void {
    this.#counters.acquisitions += 1;
    if (isHit) this.#counters.hits += 1;
  }

  add(event: PagerEvent): void {
    this.#count(event);
    this.observer?.(event, this.statistics);
  }

  #count(event: PagerEvent): void {
    switch (event.type) {
      case 'page-in':
        this.#counters.pageIns += 1;
        return;
      case 'page-out':
        this.#counters.pageOuts += 1;
        return;
      case 'read':
        this.#counters.bytesMoved.diskToHost += event.bytes;
        return;
      case 'upload':
        this.#counters.bytesMoved.hostToDevice += event.bytes;
        return;
      case 'stall':
        this.#counters.stallSeconds += event.seconds;
    }
  }
}
