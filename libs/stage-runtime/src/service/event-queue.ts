/**
 * Hands events from a callback to a reader who awaits them; closing it ends the reading after what
 * is queued.
 */
export class EventQueue<T> {
  readonly #events: T[] = [];
  #closed = false;
  #wake: (() => void) | null = null;

  push(event: T): void {
    if (this.#closed) return;
    this.#events.push(event);
    this.#wakeUp();
  }

  close(): void {
    this.#closed = true;
    this.#wakeUp();
  }

  /** The next event; 'silence' when none comes for so long, 'closed' when none will. */
  async next(silenceMs: number): Promise<{ readonly event: T } | 'silence' | 'closed'> {
    const endMs = performance.now() + silenceMs;
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return { event };
      if (this.#closed) return 'closed';
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return 'silence';
      await this.#woken(leftMs);
    }
  }

  #woken(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
