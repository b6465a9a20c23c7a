import { RequestRefusal } from './errors.js';

interface Waiting {
  begin(): void;
}

/** Lets work run one at a time, in the order in which it came; only so much may wait. */
export class Turns {
  readonly #waiting = new Set<Waiting>();
  #isTaken = false;
  /** Told when nothing runs and nothing waits. */
  readonly #onIdle: (() => void)[] = [];

  /** @param mostWaiting beside the one that runs */
  constructor(private readonly mostWaiting: number) {}

  /** @throws RequestRefusal 503 where as many wait as may */
  assertRoom(): void {
    if (!this.#isTaken || this.#waiting.size < this.mostWaiting) return;
    throw new RequestRefusal(
      `${this.mostWaiting} requests wait for an answer already: try again later`,
      { status: 503, code: 'queue_full', headers: { 'retry-after': '1' } },
    );
  }

  /**
   * Runs work when all that came before is over.
   * @throws RequestRefusal 503 where as many wait as may; the signal's reason, when it is aborted
   * before the turn has come
   */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    this.assertRoom();
    if (this.#isTaken) await this.#turn(signal);
    this.#isTaken = true;
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#next();
    }
  }

  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void> {
    if (!this.#isTaken) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Resolves when the turn has come, which stays taken meanwhile. */
  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiting);
        reject(signal.reason as Error);
      };
      const waiting: Waiting = {
        begin: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      if (signal.aborted) return leave();
      this.#waiting.add(waiting);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Hands the turn to the next, so that none who comes now is before it. */
  #next(): void {
    const [next] = this.#waiting;
    this.#isTaken = next !== undefined;
    if (next) {
      this.#waiting.delete(next);
      next.begin();
    } else for (const tell of this.#onIdle.splice(0)) tell();
  }
}
