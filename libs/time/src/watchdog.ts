import { systemClock, type Clock, type Timer } from './clock.js';

/** Barks once when nothing was heard for so long. It watches from the first `heard` on. */
export class Watchdog {
  #timer: Timer | null = null;

  constructor(
    private readonly ms: number,
    private readonly bark: () => void,
    private readonly clock: Clock = systemClock,
  ) {}

  /** Counts anew. */
  heard(): void {
    this.end();
    this.#timer = this.clock.after(this.ms, this.bark);
  }

  end(): void {
    this.#timer?.end();
    this.#timer = null;
  }
}
