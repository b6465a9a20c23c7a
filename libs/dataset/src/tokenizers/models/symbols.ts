import type { MergeTable } from './merge-table.js';

/** Up to here the lowest rank is looked for among all. */
const shortLength = 40;
/** Places in a word must fit beside a rank in a number of 53 bits. */
const maxPlaces = 2 ** 28;
const none = -1;

/** The symbols of a word, as a list that grows, and the merging of them. */
export class Symbols {
  ids = new Int32Array(256);
  /** Bytes of the word that each stands for; 0: it went into the one before it. */
  lengths = new Int32Array(256);
  count = 0;
  #ranks = new Int32Array(shortLength + 1);
  #slots = new Int32Array(shortLength + 1);

  clear(): void {
    if (this.ids.length > 2 ** 20) {
      this.ids = new Int32Array(256);
      this.lengths = new Int32Array(256);
    }
    this.count = 0;
  }

  reserve(count: number): void {
    if (count <= this.ids.length) return;
    const [ids, lengths] = [this.ids, this.lengths];
    this.ids = new Int32Array(count);
    this.lengths = new Int32Array(count);
    this.ids.set(ids);
    this.lengths.set(lengths);
  }

  push(id: number, length: number): void {
    if (this.count === this.ids.length) this.reserve(2 * this.count);
    this.ids[this.count] = id;
    this.lengths[this.count] = length;
    this.count += 1;
  }

  /** Merges by rank, of equal ranks from the left, until nothing is left to merge. */
  merge(table: MergeTable): void {
    if (this.count < 2) return;
    if (this.count <= shortLength) this.#mergeShort(table);
    else if (this.count < maxPlaces) this.#mergeLong(table);
    else throw new RangeError(`a word of more than ${maxPlaces} characters`);
  }

  #mergeShort(table: MergeTable): void {
    const { ids, lengths } = this;
    const ranks = this.#ranks;
    const slots = this.#slots;
    const look = (at: number): void => {
      const slot = table.find(ids[at] as number, ids[at + 1] as number);
      slots[at] = slot;
      ranks[at] = slot < 0 ? 0x7fffffff : table.rankAt(slot);
    };
    for (let at = 0; at + 1 < this.count; at += 1) look(at);
    for (;;) {
      let best = -1;
      let bestRank = 0x7fffffff;
      for (let at = 0; at + 1 < this.count; at += 1) {
        const rank = ranks[at] as number;
        if (rank < bestRank) {
          bestRank = rank;
          best = at;
        }
      }
      if (best < 0) return;
      ids[best] = table.mergedAt(slots[best] as number);
      lengths[best] = (lengths[best] as number) + (lengths[best + 1] as number);
      this.count -= 1;
      for (let at = best + 1; at < this.count; at += 1) {
        ids[at] = ids[at + 1] as number;
        lengths[at] = lengths[at + 1] as number;
        ranks[at] = ranks[at + 1] as number;
        slots[at] = slots[at + 1] as number;
      }
      if (best > 0) look(best - 1);
      if (best + 1 < this.count) look(best);
    }
  }

  #mergeLong(table: MergeTable): void {
    const { ids, lengths, count } = this;
    const previous = new Int32Array(count);
    const next = new Int32Array(count);
    const queue = new RankQueue(count);
    for (let at = 0; at < count; at += 1) {
      previous[at] = at - 1;
      next[at] = at + 1 < count ? at + 1 : none;
      if (at + 1 < count) {
        const slot = table.find(ids[at] as number, ids[at + 1] as number);
        if (slot >= 0) queue.append(table.rankAt(slot) * maxPlaces + at);
      }
    }
    queue.order();
    const offer = (left: number, right: number): void => {
      const slot = table.find(ids[left] as number, ids[right] as number);
      if (slot >= 0) queue.push(table.rankAt(slot) * maxPlaces + left);
    };
    while (queue.length > 0) {
      const key = queue.pop();
      const at = key % maxPlaces;
      const right = next[at] as number;
      if (lengths[at] === 0 || right === none) continue;
      const slot = table.find(ids[at] as number, ids[right] as number);
      // Since it was queued, one of the two has become another.
      if (slot < 0 || table.rankAt(slot) !== (key - at) / maxPlaces) continue;
      ids[at] = table.mergedAt(slot);
      lengths[at] = (lengths[at] as number) + (lengths[right] as number);
      lengths[right] = 0;
      const after = next[right] as number;
      next[at] = after;
      if (after !== none) {
        previous[after] = at;
        offer(at, after);
      }
      const before = previous[at] as number;
      if (before !== none) offer(before, at);
    }
    this.#compact();
  }

  #compact(): void {
    let kept = 0;
    for (let at = 0; at < this.count; at += 1)
      if (this.lengths[at] !== 0) {
        this.ids[kept] = this.ids[at] as number;
        this.lengths[kept] = this.lengths[at] as number;
        kept += 1;
      }
    this.count = kept;
  }
}

/**
 * Gives numbers back from the least on: those known from the start in order, later ones in a heap.
 */
class RankQueue {
  readonly #first: Float64Array;
  #firstAt = 0;
  #firstEnd = 0;
  #heap = new Float64Array(64);
  #size = 0;

  constructor(capacity: number) {
    this.#first = new Float64Array(capacity);
  }

  get length(): number {
    return this.#firstEnd - this.#firstAt + this.#size;
  }

  /** Adds before the first `pop`; `order` puts it right. */
  append(key: number): void {
    this.#first[this.#firstEnd] = key;
    this.#firstEnd += 1;
  }

  order(): void {
    this.#first.subarray(0, this.#firstEnd).sort();
  }

  push(key: number): void {
    if (this.#size === this.#heap.length) {
      const larger = new Float64Array(2 * this.#size);
      larger.set(this.#heap);
      this.#heap = larger;
    }
    const heap = this.#heap;
    let at = this.#size;
    this.#size += 1;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      const above = heap[parent] as number;
      if (above <= key) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = key;
  }

  pop(): number {
    const first =
      this.#firstAt < this.#firstEnd ? (this.#first[this.#firstAt] as number) : Infinity;
    const least = this.#size > 0 ? (this.#heap[0] as number) : Infinity;
    if (first <= least) {
      this.#firstAt += 1;
      return first;
    }
    this.#size -= 1;
    this.#sink(this.#heap[this.#size] as number);
    return least;
  }

  #sink(key: number): void {
    const heap = this.#heap;
    const size = this.#size;
    let at = 0;
    for (;;) {
      let child = 4 * at + 1;
      if (child >= size) break;
      let below = heap[child] as number;
      for (let other = child + 1; other < Math.min(size, 4 * at + 5); other += 1) {
        const value = heap[other] as number;
        if (value < below) {
          below = value;
          child = other;
        }
      }
      if (below >= key) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = key;
  }
}
