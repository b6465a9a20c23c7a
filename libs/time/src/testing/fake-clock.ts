import { setImmediate } from 'node:timers/promises';

import type { Clock, Timer } from '../clock.js';

interface Due {
  atMs: number;
  readonly everyMs: number | null;
  readonly act: () => void;
}

/** Turns of the event loop that what a timer starts has before the next timer comes. */
const turns = 3;

/** A clock that a test moves. */
export class FakeClock implements Clock {
  readonly #due = new Set<Due>();
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, act: () => void): Timer {
    return this.#add({ atMs: this.#nowMs + Math.max(0, ms), everyMs: null, act });
  }

  every(ms: number, act: () => void): Timer {
    return this.#add({ atMs: this.#nowMs + ms, everyMs: ms, act });
  }

  /** Timers that have not ended. */
  get pending(): number {
    return this.#due.size;
  }

  /**
   * Lets so much time pass: timers come in order, and what each starts goes on, as far as it waits
   * for nothing but promises, before the next comes.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (let due = this.#next(endMs); due; due = this.#next(endMs)) {
      this.#nowMs = due.atMs;
      if (due.everyMs === null) this.#due.delete(due);
      else due.atMs += due.everyMs;
      due.act();
      await settle();
    }
    this.#nowMs = endMs;
  }

  #add(due: Due): Timer {
    this.#due.add(due);
    const end = (): void => void this.#due.delete(due);
    return { end, [Symbol.dispose]: end };
  }

  #next(endMs: number): Due | undefined {
    return [...this.#due]
      .filter(({ atMs }) => atMs <= endMs)
      .sort((a, b) => a.atMs - b.atMs)
      .at(0);
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await setImmediate();
}
