import { systemClock, type Clock, type Timer } from './clock.js';

/** What a taker gets. */
export type Taken<T> =
  | { readonly kind: 'item'; readonly item: T }
  /** None came within the time. */
  | { readonly kind: 'silence' }
  /** None will come. */
  | { readonly kind: 'closed' };

type End = { readonly kind: 'closed' } | { readonly kind: 'failed'; readonly error: unknown };

/**
 * Hands what is put in by callbacks to one taker who awaits it, in order. What comes after its end
 * is dropped.
 */
export class Mailbox<T> {
  readonly #items: T[] = [];
  #end: End | null = null;
  #wake: (() => void) | null = null;

  constructor(private readonly clock: Clock = systemClock) {}

  /** Items that wait to be taken. */
  get size(): number {
    return this.#items.length;
  }

  /** Whether somebody waits for an item. */
  get isAwaited(): boolean {
    return this.#wake !== null;
  }

  /** @returns whether it was taken in: it has not ended */
  put(item: T): boolean {
    if (this.#end) return false;
    this.#items.push(item);
    this.#wakeUp();
    return true;
  }

  /** Ends the taking after what is queued. */
  close(): void {
    this.#end ??= { kind: 'closed' };
    this.#wakeUp();
  }

  /** Ends the taking at once: who takes gets the error, whatever is queued. */
  fail(error: unknown): void {
    if (this.#end?.kind === 'failed') return;
    this.#end = { kind: 'failed', error };
    this.#wakeUp();
  }

  /** Takes out what is queued. */
  drain(): T[] {
    return this.#items.splice(0);
  }

  /**
   * The next item. Not to be called again before it has settled.
   * @param withinMs default: for ever
   * @throws what it failed with
   */
  async take(withinMs = Infinity): Promise<Taken<T>> {
    const end = this.clock.now() + withinMs;
    for (;;) {
      if (this.#end?.kind === 'failed') throw this.#end.error;
      if (this.#items.length > 0) return { kind: 'item', item: this.#items.shift() as T };
      if (this.#end) return { kind: 'closed' };
      const leftMs = end - this.clock.now();
      if (leftMs <= 0) return { kind: 'silence' };
      await this.#woken(leftMs);
    }
  }

  /** Items until it is closed. @throws what it failed with */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const taken = await this.take();
      if (taken.kind !== 'item') return;
      yield taken.item;
    }
  }

  #woken(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | null = null;
      this.#wake = () => {
        timer?.end();
        resolve();
      };
      if (withinMs !== Infinity) timer = this.clock.after(withinMs, () => this.#wakeUp());
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
