import { isRetryable, isRpcError, retryPauseMs, RpcError, type RetryPolicy } from '@emloc/rpc';
import { pause, systemClock } from '@emloc/time';

import { isEmlocError } from './errors.js';

/**
 * What may be done about an error in the middle of a stream that can be taken up again. `wait`: the
 * server is away, and may be for long. `retry`: the connection or its contents broke in a way that
 * a few repetitions may cure.
 */
function remedyOf(error: unknown): 'wait' | 'retry' | 'none' {
  if (isRetryable(error)) return 'wait';
  if (isEmlocError(error, 'SDK_EVENTS_LOST') || isEmlocError(error, 'SDK_DOWNLOAD_CORRUPT'))
    return 'retry';
  if (!isRpcError(error)) return 'none';
  if (error.code === 'DEADLINE_EXCEEDED') return 'retry';
  // A reset stream, as the transport and proxies report it; the server's own errors have its
  // domain.
  return error.domain === 'grpc' && ['INTERNAL', 'UNKNOWN', 'CANCELLED'].includes(error.code)
    ? 'retry'
    : 'none';
}

export interface ResumptionOptions {
  readonly retry: RetryPolicy;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  /** Told before every pause. */
  readonly onInterruption?: (error: Error) => void;
}

/** Decides how often something broken is taken up again, and waits in between. */
export class Resumption {
  #failures = 0;
  #awaySinceMs: number | null = null;

  constructor(private readonly options: ResumptionOptions) {}

  /** The server has answered. */
  reached(): void {
    this.#awaySinceMs = null;
  }

  /** Something new has arrived. */
  progressed(): void {
    this.#awaySinceMs = null;
    this.#failures = 0;
  }

  /**
   * Returns when the next attempt is due.
   * @throws the error when there is to be none, RpcError CANCELLED when the signal is aborted
   */
  async after(error: unknown): Promise<void> {
    const { retry, patienceMs, signal, onInterruption } = this.options;
    const now = systemClock.now();
    this.#awaySinceMs ??= now;
    this.#failures += 1;
    const remedy = signal.aborted ? 'none' : remedyOf(error);
    const isLast =
      remedy === 'wait' ? now - this.#awaySinceMs >= patienceMs : this.#failures >= retry.attempts;
    if (remedy === 'none' || isLast) throw error;
    onInterruption?.(error as Error);
    const retryDelayMs = isRpcError(error) ? error.retryDelayMs : null;
    await pause(retryPauseMs(retry, this.#failures, { retryDelayMs }), { signal });
    throwIfCancelled(signal);
  }
}

/** @throws RpcError CANCELLED when the signal is aborted */
export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted)
    throw new RpcError('CANCELLED', 'the call was cancelled', { cause: signal.reason });
}
