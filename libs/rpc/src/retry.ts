import { backoffMs, pause, systemClock, type Clock } from '@emloc/time';

import { isRpcError, RpcError } from './errors.js';

/** When and how often a failed call is repeated. */
export interface RetryPolicy {
  /** Calls in all; 1: no repetition. */
  readonly attempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  /** Growth of the delay from one attempt to the next. */
  readonly factor: number;
}

export const defaultRetryPolicy: RetryPolicy = Object.freeze({
  attempts: 5,
  initialDelayMs: 100,
  maxDelayMs: 5_000,
  factor: 2,
});

/**
 * Whether a repetition may succeed: the server could not be reached or lost a race, or said when to
 * come back.
 */
export function isRetryable(error: unknown): error is RpcError {
  if (!isRpcError(error)) return false;
  return (
    error.code === 'UNAVAILABLE' ||
    (error.code === 'ABORTED' && error.reason === 'RECORD_CONFLICT') ||
    error.retryDelayMs !== null
  );
}

/**
 * Delay before attempt `attempt` + 1, of which `attempt` have failed: between half of and the whole
 * exponential delay, at random, so that clients do not come back together. Not before the server's
 * own `retryDelayMs`.
 * @param random in [0, 1)
 */
export function retryPauseMs(
  { initialDelayMs, maxDelayMs, factor }: RetryPolicy,
  attempt: number,
  { random = Math.random, retryDelayMs = null as number | null } = {},
): number {
  const backoff = { firstMs: initialDelayMs, mostMs: maxDelayMs, factor, spread: 0.5 };
  return Math.max(retryDelayMs ?? 0, backoffMs(backoff, attempt, random));
}

/**
 * Runs `call` until it succeeds, fails for good, has used its attempts, or the next delay would end
 * after `deadlineMs` (of the clock). The last error is thrown.
 */
export async function withRetries<T>(
  call: () => Promise<T>,
  {
    policy,
    signal,
    deadlineMs,
    clock = systemClock,
  }: { policy: RetryPolicy; signal?: AbortSignal; deadlineMs: number; clock?: Clock },
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (attempt >= policy.attempts || !isRetryable(error)) throw error;
      const waitMs = retryPauseMs(policy, attempt, { retryDelayMs: error.retryDelayMs });
      if (clock.now() + waitMs >= deadlineMs) throw error;
      await pause(waitMs, { signal, clock });
      if (signal?.aborted) throw cancelled(signal);
    }
  }
}

/** The error of a call that its own caller ended. */
export function cancelled(signal: AbortSignal | undefined): RpcError {
  return new RpcError('CANCELLED', 'the call was cancelled', { cause: signal?.reason });
}
