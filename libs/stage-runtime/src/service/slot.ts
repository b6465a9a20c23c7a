/** Lets one holder in at a time, in the order in which they came. */
export class Slot {
  #tail: Promise<void> = Promise.resolve();

  /** Waits for its turn. @returns ends it @throws the signal's reason */
  async enter(signal: AbortSignal): Promise<() => void> {
    const before = this.#tail;
    let leave!: () => void;
    const left = new Promise<void>((resolve) => { leave = resolve; });
    this.#tail = before.then(() => left);
    try {
      await orAborted(before, signal);
      return leave;
    } catch (error) {
      leave();
      throw error;
    }
  }
}

async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}
