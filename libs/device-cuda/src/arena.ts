import { at } from '@emloc/checked';

/**
 * A stretch of the arena that belongs to one tensor or workspace. `offset` changes when the arena
 * is compacted.
 */
export interface Allocation {
  offset: number;
  readonly bytes: number;
  /** Launches on the compute stream that the memory's previous owner may still be part of. */
  readonly reusedAt: number;
}

/** Free memory between two allocations. */
export interface Stretch {
  readonly offset: number;
  readonly bytes: number;
}

interface Hole {
  offset: number;
  bytes: number;
  /** The latest release that this hole was made of. */
  freedAt: number;
}

/**
 * A move of bytes within the arena; in the order given, no move overwrites what a later one reads.
 */
export interface Move {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/**
 * Best-fit suballocation of one address range: pure bookkeeping in bytes, without memory.
 * Neighbouring holes are merged at once. Sizes are multiples of the allocation granule, which the
 * caller sees to.
 */
export class Arena {
  /** Sorted by offset, never touching one another. */
  readonly #holes: Hole[];
  readonly #live = new Set<Allocation>();
  #usedBytes = 0;

  constructor(readonly extentBytes: number) {
    this.#holes = [{ offset: 0, bytes: extentBytes, freedAt: 0 }];
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get freeBytes(): number {
    return this.extentBytes - this.#usedBytes;
  }

  /** Free stretches in their order: arenas alike in them place what is allocated next alike. */
  holes(): readonly Stretch[] {
    return this.#holes.map(({ offset, bytes }) => ({ offset, bytes }));
  }

  hasHoles(stretches: readonly Stretch[]): boolean {
    return (
      stretches.length === this.#holes.length &&
      stretches.every(({ offset, bytes }, index) => {
        const hole = at(this.#holes, index);
        return hole.offset === offset && hole.bytes === bytes;
      })
    );
  }

  isLive(allocation: Allocation): boolean {
    return this.#live.has(allocation);
  }

  /** All free memory counts as released at the compute stream's position `freedAt`. */
  touchHoles(freedAt: number): void {
    for (const hole of this.#holes) hole.freedAt = freedAt;
  }

  /** The smallest hole that holds `bytes`, the lowest of equals; null when there is none. */
  allocate(bytes: number): Allocation | null {
    let best: Hole | null = null;
    for (const hole of this.#holes)
      if (hole.bytes >= bytes && (!best || hole.bytes < best.bytes)) best = hole;
    if (!best) return null;
    const allocation = { offset: best.offset, bytes, reusedAt: best.freedAt };
    best.offset += bytes;
    best.bytes -= bytes;
    if (best.bytes === 0) this.#holes.splice(this.#holes.indexOf(best), 1);
    this.#live.add(allocation);
    this.#usedBytes += bytes;
    return allocation;
  }

  /**
   * Gives the memory back; `freedAt` is the compute stream's position. False when it was not
   * allocated here.
   */
  free(allocation: Allocation, freedAt: number): boolean {
    if (!this.#live.delete(allocation)) return false;
    this.#usedBytes -= allocation.bytes;
    const index = this.#firstHoleAfter(allocation.offset);
    this.#holes.splice(index, 0, { offset: allocation.offset, bytes: allocation.bytes, freedAt });
    this.#merge(index);
    this.#merge(index - 1);
    return true;
  }

  /**
   * Slides every allocation down, so that all free bytes are one hole at the end. The caller
   * carries out the moves in order before anything else happens in the arena; a move's source and
   * target may overlap.
   */
  compact(freedAt: number): readonly Move[] {
    const moves: Move[] = [];
    let cursor = 0;
    for (const allocation of [...this.#live].sort((one, other) => one.offset - other.offset)) {
      if (allocation.offset !== cursor)
        moves.push({ from: allocation.offset, to: cursor, bytes: allocation.bytes });
      allocation.offset = cursor;
      cursor += allocation.bytes;
    }
    this.#holes.length = 0;
    if (cursor < this.extentBytes)
      this.#holes.push({ offset: cursor, bytes: this.extentBytes - cursor, freedAt });
    return moves;
  }

  #firstHoleAfter(offset: number): number {
    let [low, high] = [0, this.#holes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at(this.#holes, middle).offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Joins hole `index` with the next one when they touch. */
  #merge(index: number): void {
    const [hole, next] = [this.#holes[index], this.#holes[index + 1]];
    if (!hole || !next || hole.offset + hole.bytes !== next.offset) return;
    hole.bytes += next.bytes;
    hole.freedAt = Math.max(hole.freedAt, next.freedAt);
    this.#holes.splice(index + 1, 1);
  }
}
