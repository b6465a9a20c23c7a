import { systemClock, type Clock, type Timer, type TimerOptions } from './clock.js';

export interface RenewalOptions extends TimerOptions {
  readonly everyMs: number;
  /**
   * Says that what is held is still wanted. A rejection is tried again the next time.
   * @returns why it is held no more; null: it is renewed
   */
  readonly renew: () => Promise<string | null>;
  /** Called once, unless the renewal was ended before. */
  readonly onLost: (reason: string) => void;
  /**
   * It is lost without a success for so long, counted from when the last one was begun, so that the
   * holder knows before others may have it; default: never.
   */
  readonly lostAfterMs?: number;
  /** When that which made the holder one was begun, by the clock; default: now. */
  readonly startedMs?: number;
  readonly clock?: Clock;
}

/** The heartbeat of something that is held for as long as it is renewed. */
export class Renewal {
  readonly #clock: Clock;
  readonly #beats: Timer;
  /** Begin of the last success. */
  #renewedMs: number;
  #limit: Timer | null = null;
  #renewing: Promise<void> | null = null;
  #ended = false;

  constructor(private readonly options: RenewalOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#renewedMs = options.startedMs ?? this.#clock.now();
    this.#beats = this.#clock.every(options.everyMs, () => this.#beat(), options);
    this.#renewed(this.#renewedMs);
  }

  /** Nothing is renewed any more. Resolves when a renewal that was under way has ended. */
  async end(): Promise<void> {
    this.#stop();
    await this.#renewing;
  }

  #beat(): void {
    if (this.#renewing) return;
    this.#renewing = this.#renew().finally(() => {
      this.#renewing = null;
    });
  }

  async #renew(): Promise<void> {
    const startedMs = this.#clock.now();
    // After a pause of the whole process the beat may come before the limit.
    if (startedMs >= this.#lostMs) return;
    try {
      const reason = await this.options.renew();
      if (reason === null) this.#renewed(startedMs);
      else this.#lose(reason);
    } catch {
      // The limit, where there is one, decides for how long.
    }
  }

  get #lostMs(): number {
    return this.#renewedMs + (this.options.lostAfterMs ?? Infinity);
  }

  #renewed(startedMs: number): void {
    const { lostAfterMs } = this.options;
    this.#renewedMs = startedMs;
    this.#limit?.end();
    if (this.#ended || lostAfterMs === undefined) return;
    this.#limit = this.#clock.after(
      this.#lostMs - this.#clock.now(),
      () => this.#lose(`it could not be renewed for ${lostAfterMs} ms`),
      this.options,
    );
  }

  #lose(reason: string): void {
    if (this.#ended) return;
    this.#stop();
    this.options.onLost(reason);
  }

  #stop(): void {
    this.#ended = true;
    this.#beats.end();
    this.#limit?.end();
  }
}
