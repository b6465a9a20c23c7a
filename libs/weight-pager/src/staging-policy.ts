import { CyclicFuture, UnknownFuture, type Future } from './future.js';
import { planPrefetch, Residency, type PlannedLoad } from './residency.js';

/** What a load onto the device asks of the host tier, in this order: evict, load, prefetch. */
export interface StagingStep {
  readonly evict: readonly number[];
  readonly load: boolean;
  readonly prefetch: readonly PlannedLoad[];
}

/**
 * Decides what is in the host tier. Its accesses are the loads onto the device, whose order the
 * paging policy forecasts; the rules are the same (farthest next load leaves).
 */
export class StagingPolicy {
  readonly #residency: Residency;
  readonly #unscheduled: Future;
  readonly #layerCount: number;

  /**
   * @param capacityBytes at least the two largest layers: one is read while the other is uploaded.
   */
  constructor(layerBytes: readonly number[], capacityBytes: number) {
    this.#residency = new Residency(layerBytes, capacityBytes);
    this.#layerCount = layerBytes.length;
    this.#unscheduled = new UnknownFuture((layer) => this.#residency.lastUse(layer));
  }

  /** Every layer is in the host tier: no forecast is needed to decide. */
  get holdsAll(): boolean {
    return this.#residency.layers.size === this.#layerCount;
  }

  /** @param forecast the loads after this one; null when they are unknown. */
  access(layer: number, forecast: readonly number[] | null, prefetch: boolean): StagingStep {
    const future = forecast ? new CyclicFuture(forecast) : this.#unscheduled;
    const load = !this.#residency.has(layer);
    const evict = load ? (this.#residency.chooseVictims(layer, () => false, future, 0) ?? []) : [];
    if (load) this.#residency.replace({ layer, evict });
    else this.#residency.touch(layer);
    const lookahead = { future, from: 0, until: prefetch && forecast ? forecast.length : 0 };
    return {
      evict,
      load,
      prefetch: planPrefetch(this.#residency, lookahead, (candidate) => candidate === layer),
    };
  }

  discard(layer: number): void {
    this.#residency.remove(layer);
  }
}
