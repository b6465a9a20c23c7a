import { systemClock, type Clock, type Timer } from '@emloc/time';

import type { EventContent } from '../jobs/events.js';

export interface ForwarderOptions {
  readonly send: (event: EventContent) => Promise<void>;
  /** Called once; nothing is sent after that. */
  readonly onError: (error: unknown) => void;
  /** Least time between two events of one series. */
  readonly intervalMs?: number;
  readonly clock?: Clock;
}

/**
 * Forwards what a stage tells to a job's log, at a bounded rate: of a series (steps, progress of a
 * task) at most one event per interval, the first at once and the newest when the interval is over
 * or the stage ends. What lies between is left out. Notices are never left out.
 */
export class EventForwarder {
  readonly #pending = new Map<string, EventContent>();
  readonly #sentMs = new Map<string, number>();
  #tail: Promise<void> = Promise.resolve();
  #inFlight = 0;
  #timer: Timer | undefined;
  #failed = false;

  constructor(private readonly options: ForwarderOptions) {}

  offer(event: EventContent): void {
    const series = seriesOf(event);
    if (series === null) {
      this.#flush();
      this.#send(event);
      return;
    }
    this.#pending.delete(series);
    this.#pending.set(series, event);
    if (this.#isDue(series)) this.#flush(series);
    else this.#timer ??= this.#startTimer();
  }

  /** Sends what waits. Resolves when everything is sent. */
  async close(): Promise<void> {
    this.#timer?.end();
    this.#flush();
    await this.#tail;
  }

  get #intervalMs(): number {
    return this.options.intervalMs ?? 200;
  }

  get #clock(): Clock {
    return this.options.clock ?? systemClock;
  }

  #startTimer(): Timer {
    return this.#clock.after(this.#intervalMs, () => this.#onTimer(), { holdsProcess: false });
  }

  #isDue(series: string): boolean {
    return (
      this.#inFlight === 0 &&
      this.#clock.now() - (this.#sentMs.get(series) ?? -Infinity) >= this.#intervalMs
    );
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (this.#inFlight === 0) this.#flush();
    else this.#timer = this.#startTimer();
  }

  #flush(only?: string): void {
    for (const [series, event] of this.#pending) {
      if (only !== undefined && series !== only) continue;
      this.#pending.delete(series);
      this.#sentMs.set(series, this.#clock.now());
      this.#send(event);
    }
  }

  #send(event: EventContent): void {
    this.#inFlight += 1;
    this.#tail = this.#tail.then(async () => {
      try {
        if (!this.#failed) await this.options.send(event);
      } catch (error) {
        this.#failed = true;
        this.options.onError(error);
      } finally {
        this.#inFlight -= 1;
      }
    });
  }
}

function seriesOf(event: EventContent): string | null {
  if (event.case === 'step') return 'step';
  return event.case === 'progress' ? `progress ${event.value?.task ?? ''}` : null;
}
