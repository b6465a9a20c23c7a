/**
 * A queue that is awaited. Closing it ends the iteration after what is queued, failing it ends it
 * with the error.
 */
export class AsyncQueue<T> {
  readonly #items: T[] = [];
  readonly #waiting: {
    resolve(result: IteratorResult<T, undefined>): void;
    reject(error: Error): void;
  }[] = [];
  #end: { error: Error | undefined } | undefined;

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    if (this.#end) return;
    const next = this.#waiting.shift();
    if (next) next.resolve({ value: item, done: false });
    else this.#items.push(item);
  }

  /** @returns what nobody took */
  close(error?: Error): T[] {
    this.#end ??= { error };
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (error) reject(error);
      else resolve({ value: undefined, done: true });
    }
    return this.#items.splice(0);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve({ value: item, done: false });
    if (this.#end?.error) return Promise.reject(this.#end.error);
    if (this.#end) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }
}
