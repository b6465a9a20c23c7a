import { untilAborted } from '@emloc/rpc';
import { systemClock, type Clock, type Timer } from '@emloc/time';

/** Lets one holder in at a time, in the order in which they came. */
export class Slot {
  #tail: Promise<void> = Promise.resolve();

  /** Waits for its turn. @returns ends it @throws the signal's reason */
  async enter(signal: AbortSignal): Promise<() => void> {
    const before = this.#tail;
    let leave!: () => void;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#tail = before.then(() => left);
    try {
      await untilAborted(before, signal);
      return leave;
    } catch (error) {
      leave();
      throw error;
    }
  }
}

/**
 * Settles as `running` does, but ends with the signal's reason when it has not so long after the
 * signal: what it waits for may never come.
 */
export async function untilAbandoned<T>(
  running: Promise<T>,
  signal: AbortSignal,
  abandonMs: number,
  clock: Clock = systemClock,
): Promise<T> {
  let timer: Timer | undefined;
  const over = new AbortController();
  const abandoned = new Promise<never>((_, reject) => {
    const start = (): void => {
      timer = clock.after(abandonMs, () => reject(signal.reason as Error));
    };
    if (signal.aborted) start();
    else signal.addEventListener('abort', start, { once: true, signal: over.signal });
  });
  try {
    return await Promise.race([running, abandoned]);
  } finally {
    over.abort();
    timer?.end();
  }
}
