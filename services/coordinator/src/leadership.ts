import {
  acquireLease,
  isNatsError,
  openRecordStore,
  type Lease,
  type LeaseRecord,
  type NatsConnection,
  type RecordStore,
} from '@emloc/nats';
import type { Logger } from '@emloc/service';
import type { Metrics } from '@emloc/telemetry';
import { backoffMs, pause, systemClock, type BackoffPolicy, type Clock } from '@emloc/time';

export interface LeadershipOptions {
  readonly leases: RecordStore<LeaseRecord>;
  readonly ttlMs: number;
  /** Name of this process. */
  readonly owner: string;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'leaseLosses' | 'leaseRepairs'>;
  /** Ends the leading and gives it to another at once. */
  readonly signal: AbortSignal;
  /** What the leader does until `stop` aborts. */
  readonly lead: (token: number, stop: AbortSignal) => Promise<void>;
  readonly clock?: Clock;
}

const leaseName = 'coordinator';
/** How long others may lead before one tries again whose leading has ended. */
const pauses: BackoffPolicy = Object.freeze({ firstMs: 500, mostMs: 10_000, spread: 0.5 });
/** Leading that lasts for so many times the lease's own was no failure to begin with. */
const steadyTtls = 3;

export function openLeases(
  nats: NatsConnection,
  { ttlMs, replicas }: { ttlMs: number; replicas: number | undefined },
): Promise<RecordStore<LeaseRecord>> {
  return openRecordStore<LeaseRecord>({ nats, bucket: 'emloc-coordinator-lease', ttlMs, replicas });
}

/**
 * Waits for the lease, leads while it holds, and begins again when it is lost. Resolves when
 * `signal` has aborted and nothing is led any more.
 */
export async function takePartInLeadership(options: LeadershipOptions): Promise<void> {
  const { logger, signal, metrics, ttlMs, clock = systemClock } = options;
  metrics.leaseLosses.add({}, 0);
  metrics.leaseRepairs.add({}, 0);
  for (let failures = 0; !signal.aborted;) {
    const term = { startedMs: Number.NaN };
    try {
      await leadOnce(options, term);
    } catch (error) {
      if (signal.aborted) return;
      const ledMs = clock.now() - term.startedMs;
      if (isNatsError(error, 'LEASE_LOST')) metrics.leaseLosses.add({});
      failures = ledMs > steadyTtls * ttlMs ? 1 : failures + 1;
      const pauseMs = backoffMs(pauses, failures);
      logger.warn({ error, ledMs, pauseMs }, 'leading ended');
      await pause(pauseMs, { signal, clock });
    }
  }
}

/** @throws NatsError LEASE_LOST when another may lead; what `lead` throws */
async function leadOnce(
  { leases, ttlMs, owner, logger, metrics, signal, lead, clock = systemClock }: LeadershipOptions,
  term: { startedMs: number },
): Promise<void> {
  const lease: Lease = await acquireLease({
    store: leases,
    name: leaseName,
    owner,
    ttlMs,
    signal,
    clock,
    onMended: (surplus) => {
      metrics.leaseRepairs.add({});
      logger.error(
        { surplus },
        'the bucket of the lease held more than one message of its key, and was emptied',
      );
    },
  });
  term.startedMs = clock.now();
  logger.info({ token: lease.token }, 'leading');
  try {
    await lead(lease.token, AbortSignal.any([lease.lost, signal]));
    if (!signal.aborted) lease.lost.throwIfAborted();
  } finally {
    await lease.release();
  }
}
