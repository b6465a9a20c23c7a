import { setTimeout as sleep } from 'node:timers/promises';
import {
  acquireLease,
  openRecordStore,
  type Lease,
  type LeaseRecord,
  type Logger,
  type NatsConnection,
  type RecordStore,
} from '@emloc/service-kit';

export interface LeadershipOptions {
  readonly leases: RecordStore<LeaseRecord>;
  readonly ttlMs: number;
  /** Name of this process. */
  readonly owner: string;
  readonly logger: Logger;
  /** Ends the leading and gives it to another at once. */
  readonly signal: AbortSignal;
  /** What the leader does until `stop` aborts. */
  readonly lead: (token: number, stop: AbortSignal) => Promise<void>;
}

const leaseName = 'coordinator';
const pauseMs = 500;

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
  const { logger, signal } = options;
  while (!signal.aborted) {
    try {
      await leadOnce(options);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ error }, 'leading ended');
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function leadOnce({
  leases,
  ttlMs,
  owner,
  logger,
  signal,
  lead,
}: LeadershipOptions): Promise<void> {
  const lease: Lease = await acquireLease({ store: leases, name: leaseName, owner, ttlMs, signal });
  logger.info({ token: lease.token }, 'leading');
  try {
    await lead(lease.token, AbortSignal.any([lease.lost, signal]));
  } finally {
    await lease.release();
  }
}
