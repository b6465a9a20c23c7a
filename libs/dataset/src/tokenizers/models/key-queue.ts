/** Places in a word must fit beside a rank in a number of 53 bits. */
export const maxPlaces = 2 ** 28;

/**
 * Places in a word, each with a rank; given back from the least rank on, within a rank from the
 * left. What is added before the first `pop` is sorted, later ones are kept in a heap.
 */
export class KeyQueue {
  /** Of the place that `pop` gave last. */
  rank = 0;
  #first: Float64Array;
  #firstAt = 0;
  #firstEnd = 0;
  #sorted = false;
  #heap = new Float64Array(64);
  #size = 0;

  constructor(capacity: number) {
    this.#first = new Float64Array(capacity);
  }

  push(rank: number, place: number): void {
    const key = rank * maxPlaces + place;
    if (this.#sorted) return this.#rise(key);
    this.#first[this.#firstEnd] = key;
    this.#firstEnd += 1;
  }

  /** -1 where none is left. */
  pop(): number {
    if (!this.#sorted) this.#first.subarray(0, this.#firstEnd).sort();
    this.#sorted = true;
    const first =
      this.#firstAt < this.#firstEnd ? (this.#first[this.#firstAt] as number) : Infinity;
    const least = this.#size > 0 ? (this.#heap[0] as number) : Infinity;
    const key = Math.min(first, least);
    if (key === Infinity) return -1;
    if (key === first) this.#firstAt += 1;
    else {
      this.#size -= 1;
      this.#sink(this.#heap[this.#size] as number);
    }
    const place = key % maxPlaces;
    this.rank = (key - place) / maxPlaces;
    return place;
  }

  #rise(key: number): void {
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
