import { formatBytes } from '@emloc/device';

import { PagerError } from './errors.js';
import { CyclicFuture, UnknownFuture, type Future } from './future.js';
import { keptLayers } from './kept-layers.js';
import {
  forecastLoads,
  planPrefetch,
  Residency,
  type Lookahead,
  type PlannedLoad,
} from './residency.js';

export interface PagingPolicyOptions {
  /** Bytes that each layer takes on the tier. */
  readonly layerBytes: readonly number[];
  readonly capacityBytes: number;
}

/** What an access asks of the tier, to be done in this order: evict, load, prefetch. */
export interface PagingStep {
  /** The layer was there, or on its way, before this access. */
  readonly hit: boolean;
  readonly evict: readonly number[];
  /** The accessed layer when it has to be loaded now. */
  readonly load: number | null;
  readonly prefetch: readonly PlannedLoad[];
}

/**
 * Decides what is on the device, from nothing but sizes and the order of accesses, so that the same
 * calls give the same decisions everywhere. With a schedule: farthest next use, of much larger
 * layers only where that copies less, and prefetching; without one: least recently used and no
 * prefetching. A layer is pinned from `access` to as many
 * `release`s.
 */
export class PagingPolicy {
  readonly #residency: Residency;
  readonly #pins = new Map<number, number>();
  readonly #unscheduled: Future;
  #schedule: CyclicFuture | null = null;
  #position = 0;

  constructor(private readonly options: PagingPolicyOptions) {
    this.#residency = new Residency(options.layerBytes, options.capacityBytes);
    this.#unscheduled = new UnknownFuture((layer) => this.#residency.lastUse(layer));
  }

  get resident(): ReadonlySet<number> {
    return this.#residency.layers;
  }

  /**
   * States all accesses to come; an empty order takes the schedule back. Returns the prefetches to
   * start.
   * @throws PagerError PAGER_UNKNOWN_LAYER, PAGER_INVALID_OPTIONS
   */
  schedule(order: readonly number[], repeat = 1): readonly PlannedLoad[] {
    for (const layer of order) this.#assertKnown(layer);
    if (!(repeat === Number.POSITIVE_INFINITY || (Number.isInteger(repeat) && repeat > 0))) {
      throw new PagerError(
        'PAGER_INVALID_OPTIONS',
        `pager: a schedule is repeated a positive whole number of times, not ${repeat}`,
      );
    }
    this.#schedule = order.length === 0 ? null : new CyclicFuture([...order], repeat);
    this.#position = 0;
    this.#residency.keep(keptLayers(this.options, order, repeat));
    return this.#prefetch();
  }

  /**
   * Pins a layer for use. Nothing has changed when it throws.
   * @throws PagerError PAGER_UNKNOWN_LAYER, PAGER_OUT_OF_SCHEDULE, PAGER_OUT_OF_BUDGET
   */
  access(layer: number): PagingStep {
    this.#assertKnown(layer);
    this.#assertScheduled(layer);
    const hit = this.#residency.has(layer);
    const evict = hit ? [] : this.#makeRoom(layer);
    if (!hit) this.#residency.replace({ layer, evict });
    this.#residency.touch(layer);
    this.#pins.set(layer, (this.#pins.get(layer) ?? 0) + 1);
    this.#position += 1;
    return { hit, evict, load: hit ? null : layer, prefetch: this.#prefetch() };
  }

  /** Takes back one pin. Returns the prefetches that this allows. */
  release(layer: number): readonly PlannedLoad[] {
    const pins = this.#pins.get(layer) ?? 0;
    if (pins > 1) this.#pins.set(layer, pins - 1);
    else this.#pins.delete(layer);
    return pins === 1 ? this.#prefetch() : [];
  }

  /** The layer is not there after all: its load failed. Drops its pins too. */
  discard(layer: number): void {
    this.#pins.delete(layer);
    this.#residency.remove(layer);
  }

  /**
   * The loads that the next two rounds of the schedule will ask for, in order; null without a
   * schedule.
   */
  forecastLoads(): readonly number[] | null {
    if (!this.#schedule) return null;
    return forecastLoads(this.#residency, this.#lookahead(this.#schedule, 2));
  }

  #prefetch(): readonly PlannedLoad[] {
    if (!this.#schedule) return [];
    return planPrefetch(this.#residency, this.#lookahead(this.#schedule, 1), this.#isPinned);
  }

  #lookahead(schedule: CyclicFuture, rounds: number): Lookahead {
    return {
      future: schedule,
      from: this.#position,
      until: this.#position + rounds * schedule.order.length,
    };
  }

  readonly #isPinned = (layer: number): boolean => this.#pins.has(layer);

  #makeRoom(layer: number): readonly number[] {
    const victims = this.#residency.chooseVictims(
      layer,
      this.#isPinned,
      this.#schedule ?? this.#unscheduled,
      this.#position + 1,
    );
    if (victims) return victims;
    const { capacityBytes } = this.options;
    const pinnedBytes = [...this.#pins.keys()].reduce(
      (sum, pinned) => sum + this.#residency.bytesOf(pinned),
      0,
    );
    throw new PagerError(
      'PAGER_OUT_OF_BUDGET',
      `pager: layer ${layer} needs ${formatBytes(this.#residency.bytesOf(layer))}, ` +
        `${formatBytes(capacityBytes - pinnedBytes)} of the ${formatBytes(capacityBytes)} budget is unpinned`,
    );
  }

  #assertKnown(layer: number): void {
    const { length } = this.options.layerBytes;
    if (Number.isInteger(layer) && layer >= 0 && layer < length) return;
    throw new PagerError(
      'PAGER_UNKNOWN_LAYER',
      `pager: layer ${layer} of a source with ${length} layers`,
    );
  }

  #assertScheduled(layer: number): void {
    if (!this.#schedule) return;
    const expected = this.#schedule.layerAt(this.#position);
    if (expected === layer) return;
    const plan =
      expected === undefined
        ? `the schedule ended after ${this.#schedule.length} accesses`
        : `the schedule has layer ${expected} at position ${this.#position}`;
    throw new PagerError(
      'PAGER_OUT_OF_SCHEDULE',
      `pager: layer ${layer} was acquired, but ${plan}`,
    );
  }
}
