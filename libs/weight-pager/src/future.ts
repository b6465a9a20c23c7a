import { at } from '@emloc/checked';

/**
 * What is known of the accesses to come. Positions count accesses; position 0 is the first one
 * described.
 */
export interface Future {
  /** Layer accessed at `position`; undefined outside of what is known. */
  layerAt(position: number): number | undefined;
  /**
   * Where `layer` is accessed first at or after `from`; Infinity when no such access is known.
   * Only the order of these numbers counts: the layer with the largest is the best to evict.
   */
  nextUse(layer: number, from: number): number;
}

/** An order of layers gone through `repeat` times (which may be Infinity). */
export class CyclicFuture implements Future {
  /** Number of accesses. */
  readonly length: number;
  readonly #positions = new Map<number, number[]>();

  constructor(
    readonly order: readonly number[],
    repeat = 1,
  ) {
    this.length = order.length === 0 ? 0 : order.length * repeat;
    order.forEach((layer, position) => {
      const positions = this.#positions.get(layer);
      if (positions) positions.push(position);
      else this.#positions.set(layer, [position]);
    });
  }

  layerAt(position: number): number | undefined {
    return position < 0 || position >= this.length
      ? undefined
      : this.order[position % this.order.length];
  }

  nextUse(layer: number, from: number): number {
    const positions = this.#positions.get(layer);
    if (!positions || from >= this.length) return Number.POSITIVE_INFINITY;
    const period = this.order.length;
    const cycleStart = from - (from % period);
    const inCycle = positions[lowerBound(positions, from - cycleStart)];
    const position =
      inCycle === undefined ? cycleStart + period + at(positions, 0) : cycleStart + inCycle;
    return position < this.length ? position : Number.POSITIVE_INFINITY;
  }
}

/** Nothing is known but the past: the least recently used layer counts as the one used last. */
export class UnknownFuture implements Future {
  /** @param lastUse a growing number for each use of a layer. */
  constructor(private readonly lastUse: (layer: number) => number) {}

  layerAt(): undefined {
    return undefined;
  }

  nextUse(layer: number): number {
    return -this.lastUse(layer);
  }
}

/** Index of the first entry of an ascending list that is at least `value`. */
function lowerBound(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(ascending, middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
