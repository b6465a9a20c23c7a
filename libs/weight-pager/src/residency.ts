import { at } from '@emloc/checked';

import type { Future } from './future.js';

/** A load that may start now, and what has to leave for it. */
export interface PlannedLoad {
  readonly layer: number;
  readonly evict: readonly number[];
}

/**
 * Which layers one tier holds, against its capacity. Decides by farthest next use (Belady, "A study
 * of replacement algorithms for a virtual-storage computer", 1966); among layers that are never
 * used again the most recently used one leaves first, so that what stays is the beginning of the
 * order and serves another pass. Layers that are to be kept leave after all others.
 */
export class Residency {
  readonly #lastUse = new Map<number, number>();
  readonly #resident = new Set<number>();
  #kept: ReadonlySet<number> = new Set();
  #bytes = 0;
  #clock = 0;

  constructor(
    private readonly layerBytes: readonly number[],
    readonly capacityBytes: number,
  ) {}

  /** Bytes of the layers on the tier. */
  get bytes(): number {
    return this.#bytes;
  }

  get layers(): ReadonlySet<number> {
    return this.#resident;
  }

  has(layer: number): boolean {
    return this.#resident.has(layer);
  }

  bytesOf(layer: number): number {
    return at(this.layerBytes, layer);
  }

  /** When a layer was used last: larger is later, 0 is never. */
  lastUse(layer: number): number {
    return this.#lastUse.get(layer) ?? 0;
  }

  touch(layer: number): void {
    this.#clock += 1;
    this.#lastUse.set(layer, this.#clock);
  }

  /** Takes `evict` off the tier and puts `layer` on it. */
  replace({ layer, evict }: PlannedLoad): void {
    for (const victim of evict) this.remove(victim);
    this.#resident.add(layer);
    this.#bytes += this.bytesOf(layer);
    this.touch(layer);
  }

  remove(layer: number): void {
    if (this.#resident.delete(layer)) this.#bytes -= this.bytesOf(layer);
  }

  /** Layers that leave only when all others have. */
  keep(layers: ReadonlySet<number>): void {
    this.#kept = layers;
  }

  clone(): Residency {
    const copy = new Residency(this.layerBytes, this.capacityBytes);
    copy.keep(this.#kept);
    for (const layer of this.#resident) copy.#resident.add(layer);
    for (const [layer, use] of this.#lastUse) copy.#lastUse.set(layer, use);
    copy.#bytes = this.#bytes;
    copy.#clock = this.#clock;
    return copy;
  }

  /**
   * Layers to evict so that `layer` fits: those with the farthest use at or after `from`, none that
   * is needed now, none that need not go. Null when even evicting all others would not make room.
   */
  chooseVictims(
    layer: number,
    isNeeded: (candidate: number) => boolean,
    future: Future,
    from: number,
  ): readonly number[] | null {
    let missingBytes = this.#bytes + this.bytesOf(layer) - this.capacityBytes;
    if (missingBytes <= 0) return [];
    const ranked = [...this.#resident]
      .filter((candidate) => !isNeeded(candidate))
      .map((candidate) => ({
        candidate,
        kept: Number(this.#kept.has(candidate)),
        next: future.nextUse(candidate, from),
        last: this.lastUse(candidate),
      }))
      .sort((a, b) => a.kept - b.kept || (a.next === b.next ? b.last - a.last : b.next - a.next));
    const victims: number[] = [];
    for (const { candidate } of ranked) {
      if (missingBytes <= 0) break;
      victims.push(candidate);
      missingBytes -= this.bytesOf(candidate);
    }
    return missingBytes > 0 ? null : this.#spare(victims, -missingBytes);
  }

  /**
   * Leaves out victims that the larger ones after them make unnecessary, the soonest used first.
   */
  #spare(victims: readonly number[], surplusBytes: number): readonly number[] {
    let surplus = surplusBytes;
    return [...victims].reverse().filter((victim) => {
      if (this.bytesOf(victim) > surplus) return true;
      surplus -= this.bytesOf(victim);
      return false;
    });
  }
}

/** A stretch of a known future as a tier looks at it. */
export interface Lookahead {
  readonly future: Future;
  /** The next access. */
  readonly from: number;
  /** First position not looked at. */
  readonly until: number;
}

/**
 * Victims for an access that is loaded while the access before it is still in use (double
 * buffering), if both fit; otherwise null.
 */
function victimsBeside(
  residency: Residency,
  { future }: Lookahead,
  position: number,
  isNeeded: (layer: number) => boolean,
) {
  const layer = future.layerAt(position) as number;
  return residency.chooseVictims(layer, isNeeded, future, position + 1);
}

/**
 * Starts loads ahead of their accesses and updates `residency`. The loads and victims are those of
 * Belady's policy under the rule that a load runs while the access before it is in use; each one
 * starts as early as nothing it evicts is pinned or needed before it, and they start in order. So
 * prefetching never costs a load more than that rule does.
 */
export function planPrefetch(
  residency: Residency,
  lookahead: Lookahead,
  isPinned: (layer: number) => boolean,
): readonly PlannedLoad[] {
  const { future, from, until } = lookahead;
  const loads: PlannedLoad[] = [];
  for (let position = from; position < until; position += 1) {
    const layer = future.layerAt(position);
    if (layer === undefined) break;
    if (residency.has(layer)) continue;
    const inUse = future.layerAt(position - 1);
    const isNeeded = position === from ? isPinned : (candidate: number) => candidate === inUse;
    const evict = victimsBeside(residency, lookahead, position, isNeeded);
    if (
      evict === null ||
      evict.some((victim) => isPinned(victim) || future.nextUse(victim, from) < position)
    )
      break;
    residency.replace({ layer, evict });
    loads.push({ layer, evict });
  }
  return loads;
}

/** The loads that the accesses of a stretch of future will cause, in order. Changes nothing. */
export function forecastLoads(residency: Residency, lookahead: Lookahead): readonly number[] {
  const { future, from, until } = lookahead;
  const simulated = residency.clone();
  const loads: number[] = [];
  for (let position = from; position < until; position += 1) {
    const layer = future.layerAt(position);
    if (layer === undefined) break;
    if (simulated.has(layer)) {
      simulated.touch(layer);
      continue;
    }
    const inUse = future.layerAt(position - 1);
    const evict =
      victimsBeside(simulated, lookahead, position, (candidate) => candidate === inUse) ??
      victimsBeside(simulated, lookahead, position, () => false);
    if (evict === null) break;
    simulated.replace({ layer, evict });
    loads.push(layer);
  }
  return loads;
}
