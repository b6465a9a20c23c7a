import { setTimeout as sleep } from 'node:timers/promises';

import { JetStreamApiError, JetStreamError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';

/** How long one request to JetStream may take before it is repeated. */
export const requestTimeoutMs = 2000;

const retryDelayMs = 100;

/**
 * Repeats an idempotent request while the server is away or starting.
 * @param deadlineMs the last attempt starts before so many milliseconds have passed
 */
export async function retryTransient<T>(operation: () => Promise<T>, deadlineMs = 30_000): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    try {
      return await operation();
    } catch (error) {
      if (!isTransient(error) || performance.now() > endMs) throw error;
      await sleep(retryDelayMs);
    }
  }
}

/** Whether the same request may succeed later: no answer, nobody listens, JetStream is not ready. */
export function isTransient(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 503;
  return [errors.TimeoutError, errors.NoRespondersError, errors.RequestError, errors.ConnectionError].some((kind) => error instanceof kind)
    || (error instanceof JetStreamError && (error.cause === undefined ? /no responders|timeout|jetstream is not enabled/i.test(error.message) : isTransient(error.cause)));
}
