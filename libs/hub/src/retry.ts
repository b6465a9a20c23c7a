import { backoffMs, sleep } from '@emloc/time';

import { HubError } from './errors.js';

/** How often and how patiently failures that may pass are tried again. */
export interface RetryPolicy {
  /** Tries without any progress between them. */
  readonly attempts: number;
  /** Before the second try; twice as long before each further one. */
  readonly firstDelayMs: number;
}

export const defaultRetryPolicy: RetryPolicy = Object.freeze({ attempts: 5, firstDelayMs: 500 });

const mostDelayMs = 60_000;

/** A failure that may pass: a server that is busy, a connection that broke. */
export class PassingError extends Error {
  override readonly name = 'PassingError';

  constructor(
    message: string,
    readonly retryAfterMs: number | null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Works until it succeeds, fails for good or has failed too often.
 * @param work is told how many tries went before it; with `hasProgressed` a failure counts as the
 * first one
 * @throws HubError HUB_UNREACHABLE after the last try; what `work` throws otherwise
 */
export async function retried<T>(
  what: string,
  work: () => Promise<T>,
  {
    policy,
    signal,
    hasProgressed = () => false,
  }: {
    readonly policy: RetryPolicy;
    readonly signal: AbortSignal;
    readonly hasProgressed?: () => boolean;
  },
): Promise<T> {
  for (let failures = 0; ;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PassingError)) throw error;
      failures = hasProgressed() ? 1 : failures + 1;
      if (failures >= policy.attempts) throw unreachable(what, error, policy.attempts);
      await sleep(delayMs(failures, error, policy), { signal });
    }
  }
}

function delayMs(
  failures: number,
  { retryAfterMs }: PassingError,
  { firstDelayMs }: RetryPolicy,
): number {
  const backoff = { firstMs: firstDelayMs, mostMs: mostDelayMs, spread: 0.2 };
  return Math.min(mostDelayMs, Math.max(backoffMs(backoff, failures), retryAfterMs ?? 0));
}

function unreachable(what: string, error: PassingError, attempts: number): HubError {
  const tries = attempts > 1 ? ` (tried ${attempts} times)` : '';
  return new HubError('HUB_UNREACHABLE', `${what}: ${error.message}${tries}`, { cause: error });
}
