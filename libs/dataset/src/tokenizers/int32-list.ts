/** A list of 32-bit integers that grows. */
export class Int32List {
  #values: Int32Array;
  #length = 0;

  constructor(capacity = 16) {
    this.#values = new Int32Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) this.#grow();
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  at(index: number): number {
    return this.#values[index] as number;
  }

  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  clear(): void {
    this.#length = 0;
  }

  #grow(): void {
    const larger = new Int32Array(Math.max(16, this.#values.length * 2));
    larger.set(this.#values);
    this.#values = larger;
  }
}

const chunkLength = 1 << 18;

/** A very long list of 32-bit integers: what was written is never copied before the end. */
export class ChunkedInt32List {
  readonly #full: Int32Array[] = [];
  #last = new Int32Array(1024);
  #used = 0;

  push(value: number): void {
    if (this.#used === this.#last.length) {
      this.#full.push(this.#last);
      this.#last = new Int32Array(chunkLength);
      this.#used = 0;
    }
    this.#last[this.#used] = value;
    this.#used += 1;
  }

  /** All values in one array; the list is empty afterwards. */
  drain(): Int32Array {
    const length = this.#full.reduce((sum, chunk) => sum + chunk.length, this.#used);
    const all = new Int32Array(length);
    let at = 0;
    for (const chunk of this.#full.splice(0)) {
      all.set(chunk, at);
      at += chunk.length;
    }
    all.set(this.#last.subarray(0, this.#used), at);
    this.#used = 0;
    return all;
  }
}
