import { at, last } from '@emloc/checked';

const firstChunk = 16;
const largestChunk = 2 ** 16;

/** Places in order; the room of those that were taken is given back. */
class Run {
  /** The next place. */
  head: number;
  /** The last place that was added. */
  tail: number;
  readonly #chunks: Int32Array[] = [new Int32Array(firstChunk)];
  #reading = at(this.#chunks, 0);
  #readAt = 0;
  #writing = this.#reading;
  #writeAt = 1;

  constructor(
    readonly rank: number,
    place: number,
  ) {
    this.head = this.tail = this.#writing[0] = place;
  }

  push(place: number): void {
    if (this.#writeAt === this.#writing.length) {
      this.#writing = new Int32Array(Math.min(largestChunk, 2 * this.#writeAt));
      this.#writeAt = 0;
      this.#chunks.push(this.#writing);
    }
    this.#writing[this.#writeAt] = place;
    this.#writeAt += 1;
    this.tail = place;
  }

  /** Goes on to the next place; false where there is none. */
  advance(): boolean {
    this.#readAt += 1;
    if (this.#reading === this.#writing && this.#readAt === this.#writeAt) return false;
    if (this.#readAt === this.#reading.length) {
      this.#chunks.shift();
      this.#reading = at(this.#chunks, 0);
      this.#readAt = 0;
    }
    this.head = this.#reading[this.#readAt] as number;
    return true;
  }

  isBefore(other: Run): boolean {
    return this.rank < other.rank || (this.rank === other.rank && this.head < other.head);
  }
}

/**
 * A queue like `KeyQueue` for very many places, which mostly are added from the left within a rank:
 * one number each.
 */
export class RunQueue {
  /** Of the place that `pop` gave last. */
  rank = 0;
  /** By rank, the run that was begun last. */
  readonly #open = new Map<number, Run>();
  /** The run of the next place is at 0, and each run comes before those at 2 i + 1 and 2 i + 2. */
  readonly #heap: Run[] = [];

  push(rank: number, place: number): void {
    const open = this.#open.get(rank);
    if (open && open.tail <= place) return open.push(place);
    const run = new Run(rank, place);
    this.#open.set(rank, run);
    this.#rise(run);
  }

  /** -1 where none is left. */
  pop(): number {
    const run = this.#heap.at(0);
    if (!run) return -1;
    const { head, rank } = run;
    this.rank = rank;
    if (run.advance()) this.#sink(run);
    else {
      if (this.#open.get(rank) === run) this.#open.delete(rank);
      const moved = last(this.#heap);
      this.#heap.pop();
      if (moved !== run) this.#sink(moved);
    }
    return head;
  }

  #rise(run: Run): void {
    const heap = this.#heap;
    let place = heap.length;
    heap.push(run);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = at(heap, parent);
      if (!run.isBefore(above)) break;
      heap[place] = above;
      place = parent;
    }
    heap[place] = run;
  }

  /** Puts a run in place of the first one. */
  #sink(run: Run): void {
    const heap = this.#heap;
    let place = 0;
    for (let child = 1; child < heap.length; child = 2 * place + 1) {
      if (child + 1 < heap.length && at(heap, child + 1).isBefore(at(heap, child))) child += 1;
      const below = at(heap, child);
      if (!below.isBefore(run)) break;
      heap[place] = below;
      place = child;
    }
    heap[place] = run;
  }
}
