import type { Clock } from './clock.js';
import { pause } from './sleep.js';

/** How long to wait before something is tried again. */
export interface BackoffPolicy {
  /** After the first failure. */
  readonly firstMs: number;
  readonly mostMs: number;
  /** Growth from one failure to the next; default: 2. */
  readonly factor?: number;
  /** Share of the delay that is left to chance, so that not all come back together; default: 0. */
  readonly spread?: number;
}

/**
 * Milliseconds before the next attempt, after so many failures in a row.
 * @param failures from 1 on
 * @param random in [0, 1)
 */
export function backoffMs(
  { firstMs, mostMs, factor = 2, spread = 0 }: BackoffPolicy,
  failures: number,
  random: () => number = Math.random,
): number {
  const wholeMs = Math.min(mostMs, firstMs * factor ** Math.max(0, failures - 1));
  return wholeMs * (1 - spread + spread * random());
}

export interface BackoffOptions {
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
}

/** Failures in a row, and the pauses between them. */
export class Backoff {
  #failures = 0;

  constructor(
    private readonly policy: BackoffPolicy,
    private readonly options: BackoffOptions = {},
  ) {}

  /** The next failure is the first one again. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** Counts a failure, and waits; not beyond an abort of the signal. */
  async failed(): Promise<void> {
    this.#failures += 1;
    await pause(backoffMs(this.policy, this.#failures), this.options);
  }
}
