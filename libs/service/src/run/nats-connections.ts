import {
  connectNats,
  isNatsError,
  openLane,
  type Lane,
  type NatsAccess,
  type NatsConnection,
} from '@emloc/nats';
import { Backoff, systemClock, type BackoffPolicy } from '@emloc/time';

import type { Logger } from '../log/logger.js';

/** A service's two connections to NATS: for messages, and for bulk data. */
export interface NatsConnections {
  readonly nats: NatsConnection;
  readonly lane: Lane;
}

export interface ConnectOptions {
  readonly logger: Pick<Logger, 'warn'>;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** How long a server that does not answer is waited for. */
  readonly patienceMs: number;
}

const attemptMs = 3000;
const pauses: BackoffPolicy = Object.freeze({ firstMs: 250, mostMs: 1000 });

/**
 * Does what needs a server that may start at the same time, or end meanwhile: again and again.
 * @param isFinal whether waiting does not help
 * @throws what was thrown last when the time is over, or what is final, at once
 */
export async function patiently<T>(
  act: () => Promise<T>,
  isFinal: (error: unknown) => boolean,
  { logger, signal, patienceMs }: ConnectOptions,
): Promise<T> {
  const endMs = systemClock.now() + patienceMs;
  const backoff = new Backoff(pauses, { signal });
  for (;;) {
    signal.throwIfAborted();
    try {
      return await act();
    } catch (error) {
      if (isFinal(error) || systemClock.now() > endMs) throw error;
      logger.warn({ error }, 'NATS does not answer yet');
      await backoff.failed();
    }
  }
}

/**
 * Connects, waiting for a server that starts at the same time.
 * @throws NatsError NATS_CONNECT_FAILED when the server has not answered in time, or at once
 * when it refuses the service or is not trusted
 */
export function connectPatiently(
  access: NatsAccess,
  options: ConnectOptions,
): Promise<NatsConnections> {
  return patiently(() => connectBoth(access), isRefusal, options);
}

/** The lane goes first: it knows why a server has hung up. */
async function connectBoth(access: NatsAccess): Promise<NatsConnections> {
  const lane = await openLane(access, { connectTimeoutMs: attemptMs });
  try {
    return { lane, nats: await connectNats(access) };
  } catch (error) {
    lane.close();
    throw error;
  }
}

/** OpenSSL's and Node's codes of certificates that one end does not accept. */
const certificateCode =
  /^(ERR_SSL|ERR_OSSL|ERR_TLS|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|CERT|HOSTNAME_MISMATCH)_/;
const refusal = /refused the credentials|requires TLS|authorization violation/i;

/** Whether credentials or certificates are to blame, which waiting does not change. */
export function isRefusal(error: unknown): boolean {
  if (!isNatsError(error, 'NATS_CONNECT_FAILED')) return false;
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return refusal.test(error.message) || (typeof code === 'string' && certificateCode.test(code));
}
