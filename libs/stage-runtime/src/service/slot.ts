import { untilAborted } from '@emloc/rpc';

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
      await untilAborted(before, signal);
      return leave;
    } catch (error) {
      leave();
      throw error;
    }
  }
}
