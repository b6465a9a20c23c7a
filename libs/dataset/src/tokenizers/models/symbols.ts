import { KeyQueue, maxPlaces } from './key-queue.js';
import type { MergeTable } from './merge-table.js';
import { RunQueue } from './run-queue.js';

/** Up to here the lowest rank is looked for among all. */
const shortLength = 40;
/** From here on, what is queued is kept in less room. */
const manyPlaces = 2 ** 16;
/** In place of the id of a symbol that went into the one before it. */
const absorbed = -1;

/** The symbols of a word, as a list that grows, and the merging of them. */
export class Symbols {
  ids = new Int32Array(256);
  /** Bytes of the word that each stands for. */
  lengths = new Int32Array(256);
  count = 0;
  /** Whether some length is not 1. */
  #unequal = false;
  #ranks = new Int32Array(shortLength + 1);
  #slots = new Int32Array(shortLength + 1);

  clear(): void {
    if (this.ids.length > 2 ** 20) {
      this.ids = new Int32Array(256);
      this.lengths = new Int32Array(256);
    }
    this.count = 0;
    this.#unequal = false;
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
    if (length !== 1) this.#unequal = true;
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
    const { ids, count } = this;
    const spans = this.#spans();
    const queue = count < manyPlaces ? new KeyQueue(count) : new RunQueue();
    const offer = (left: number, right: number): void => {
      const slot = table.find(ids[left] as number, ids[right] as number);
      if (slot >= 0) queue.push(table.rankAt(slot), left);
    };
    for (let at = 0; at + 1 < count; at += 1) offer(at, at + 1);
    for (let at = queue.pop(); at >= 0; at = queue.pop()) {
      const id = ids[at] as number;
      const right = at + (spans[at] as number);
      if (id === absorbed || right >= count) continue;
      const slot = table.find(id, ids[right] as number);
      // Since it was queued, one of the two has become another.
      if (slot < 0 || table.rankAt(slot) !== queue.rank) continue;
      const end = right + (spans[right] as number);
      ids[at] = table.mergedAt(slot);
      ids[right] = absorbed;
      spans[at] = spans[end - 1] = end - at;
      if (at > 0) offer(at - (spans[at - 1] as number), at);
      if (end < count) offer(at, end);
    }
    this.#compact(spans);
  }

  /**
   * How many of the first symbols each one is made of: at its first place, for the one before it,
   * and at its last, for the one after it. Where all lengths are 1, they are just that.
   */
  #spans(): Int32Array {
    return this.#unequal ? new Int32Array(this.count).fill(1) : this.lengths;
  }

  #compact(spans: Int32Array): void {
    const { ids, lengths, count } = this;
    let kept = 0;
    for (let at = 0; at < count; kept += 1) {
      const end = at + (spans[at] as number);
      ids[kept] = ids[at] as number;
      let length = spans === lengths ? end - at : 0;
      for (; at < end; at += 1) if (spans !== lengths) length += lengths[at] as number;
      lengths[kept] = length;
    }
    this.count = kept;
  }
}
