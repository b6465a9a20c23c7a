import type { TensorBusObserver } from '../tensor-bus.js';

/**
 * Limits of the core NATS path. Memory at each end is `windowChunks` x `chunkBytes` for each layer
 * in flight.
 */
export interface BusSettings {
  /** Data bytes of a chunk; never more than the server's max_payload allows. */
  readonly chunkBytes: number;
  readonly windowChunks: number;
  /**
   * First wait before an offer is repeated or a probe asks what is missing; doubles up to
   * `maxRetryMs`.
   */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** A peer that says nothing for so long is gone. */
  readonly silenceTimeoutMs: number;
  /** A peer that is alive but takes no chunk for so long hangs. */
  readonly progressTimeoutMs: number;
  /** How long an offer waits for somebody to receive on its channel. */
  readonly receiverTimeoutMs: number;
  readonly observer: TensorBusObserver;
}

export const defaultBusSettings: BusSettings = {
  chunkBytes: 1024 * 1024,
  windowChunks: 8,
  retryMs: 200,
  maxRetryMs: 2000,
  silenceTimeoutMs: 60_000,
  progressTimeoutMs: 300_000,
  receiverTimeoutMs: 300_000,
  observer: {},
};

/** Waits that double from `firstMs` to `maxMs` until something happens. */
export class Backoff {
  #delayMs: number;
  #dueMs: number;

  constructor(
    private readonly firstMs: number,
    private readonly maxMs: number,
  ) {
    this.#delayMs = firstMs;
    this.#dueMs = performance.now() + firstMs;
  }

  reset(): void {
    this.#delayMs = this.firstMs;
    this.#dueMs = performance.now() + this.firstMs;
  }

  /** Whether the wait is over; a longer one starts then. */
  isDue(): boolean {
    if (performance.now() < this.#dueMs) return false;
    this.#delayMs = Math.min(this.maxMs, this.#delayMs * 2);
    this.#dueMs = performance.now() + this.#delayMs;
    return true;
  }

  /** Ends the wait. */
  expire(): void {
    this.#dueMs = 0;
  }
}
