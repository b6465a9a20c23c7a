const emptySlot = -1;

/** Merges of two tokens into one by rank, in a hash table of typed arrays. */
export class MergeTable {
  readonly #mask: number;
  readonly #left: Int32Array;
  readonly #right: Int32Array;
  readonly #rank: Int32Array;
  readonly #merged: Int32Array;

  constructor(count: number) {
    const slots = 2 ** Math.ceil(Math.log2(2 * count + 2));
    this.#mask = slots - 1;
    this.#left = new Int32Array(slots).fill(emptySlot);
    this.#right = new Int32Array(slots);
    this.#rank = new Int32Array(slots);
    this.#merged = new Int32Array(slots);
  }

  /** Of two merges of the same tokens the later counts. */
  set(left: number, right: number, rank: number, merged: number): void {
    const slot = this.#slotOf(left, right);
    this.#left[slot] = left;
    this.#right[slot] = right;
    this.#rank[slot] = rank;
    this.#merged[slot] = merged;
  }

  /** Where the merge is kept, -1 for none. */
  find(left: number, right: number): number {
    const slot = this.#slotOf(left, right);
    return this.#left[slot] === emptySlot ? -1 : slot;
  }

  rankAt(slot: number): number {
    return this.#rank[slot] as number;
  }

  mergedAt(slot: number): number {
    return this.#merged[slot] as number;
  }

  #slotOf(left: number, right: number): number {
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let slot = (hash ^ (hash >>> 13)) & this.#mask;
    while (
      this.#left[slot] !== emptySlot &&
      (this.#left[slot] !== left || this.#right[slot] !== right)
    )
      slot = (slot + 1) & this.#mask;
    return slot;
  }
}
