import { Backoff, systemClock, within, type BackoffPolicy, type Clock } from '@emloc/time';
import { JetStreamApiCodes, JetStreamApiError, JetStreamError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';

/** How long one request to JetStream may take before it is repeated. */
export const requestTimeoutMs = 2000;

/** Pauses of those who wait for a server that is away or starting. */
export const reconnectPauses: BackoffPolicy = Object.freeze({ firstMs: 100, mostMs: 500 });

/** An attempt that has no answer, not even a failure, after so long never gets one. */
const silenceMs = 15_000;

/**
 * Around a lost connection some of the client library's promises settle never: this one says so in
 * their place.
 */
class UnansweredError extends Error {
  override readonly name = 'UnansweredError';
}

/** Settles as `promise` does, or rejects with a transient error when it has not for so long. */
export function orUnanswered<T>(
  promise: Promise<T>,
  limitMs = silenceMs,
  clock: Clock = systemClock,
): Promise<T> {
  const unanswered = (): Error => new UnansweredError(`nats: no answer within ${limitMs} ms`);
  return within(promise, limitMs, unanswered, clock);
}

/**
 * How long a server is asked again that has no space: less than callers of a service wait for an
 * answer, so that they hear why.
 */
const noSpaceMs = 20_000;

/**
 * Repeats an idempotent request while the server is away or starting, or has no space.
 * @param deadlineMs the last attempt starts before so many milliseconds have passed
 */
export async function retryTransient<T>(
  operation: () => Promise<T>,
  deadlineMs = 30_000,
  clock: Clock = systemClock,
): Promise<T> {
  const startMs = clock.now();
  const backoff = new Backoff(reconnectPauses, { clock });
  for (;;) {
    try {
      return await orUnanswered(operation(), silenceMs, clock);
    } catch (error) {
      const limitMs = isStorageFull(error) ? Math.min(noSpaceMs, deadlineMs) : deadlineMs;
      if (!isTransient(error) || clock.now() > startMs + limitMs) throw error;
      await backoff.failed();
    }
  }
}

/** JetStream's code for "wrong last sequence". */
const wrongLastSequence = 10071;

/**
 * Whether JetStream has refused to store something because a newer message was there than the one
 * that was named.
 */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === wrongLastSequence;
}

/** JetStream's code for "insufficient resources". */
const insufficientResources = 10023;

/** Whether JetStream has stored as much as it may. */
export function isStorageFull(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.code === insufficientResources;
  return error instanceof Error && isStorageFull(error.cause);
}

/**
 * What JetStream's statuses and the client library say of a request that may succeed when it is
 * made again: a server that starts, stops, changes its leader or is silent for a while.
 */
const passing =
  /no responders|timeout|jetstream is not enabled|heartbeats missed|consumer deleted|leadership change|server shutdown/i;

/**
 * Whether the same request may succeed later: no answer, nobody listens, JetStream is not ready, or
 * the consumer of this attempt was lost with a restart of the server.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof UnansweredError) return true;
  if (error instanceof JetStreamApiError)
    return error.status === 503 || error.code === JetStreamApiCodes.ConsumerNotFound;
  if (isOfJetStream(error))
    return error.cause === undefined ? passing.test(error.message) : isTransient(error.cause);
  return [
    errors.TimeoutError,
    errors.NoRespondersError,
    errors.RequestError,
    errors.ConnectionError,
  ].some((kind) => error instanceof kind);
}

/** The library does not export the class of what it throws while JetStream has not answered yet. */
function isOfJetStream(error: unknown): error is Error {
  return (
    error instanceof JetStreamError ||
    (error instanceof Error && error.name === 'JetStreamNotEnabled')
  );
}
