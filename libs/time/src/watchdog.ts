import { systemClock, type Clock, type Timer } from './clock.js';

/**
 * Barks once when nothing was heard for so long. It watches from the first `heard` on, until its
 * end: what is heard later is of something that was given up.
 */
export class Watchdog {
  #timer: Timer | null = null;
  #isOver = false;

  constructor(
    private readonly ms: number,
    private readonly bark: () => void,
    private readonly clock: Clock = systemClock,
  ) {}

  /** Counts anew. */
  heard(): void {
    this.#timer?.end();
    if (!this.#isOver) this.#timer = this.clock.after(this.ms, this.bark);
  }

  end(): void {
    this.#isOver = true;
    this.#timer?.end();
    this.#timer = null;
  }
}
