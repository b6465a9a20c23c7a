import { randomUUID } from 'node:crypto';
import { messageOf } from '@emloc/checked';
import { Renewal, sleep, systemClock, type Clock } from '@emloc/time';

import { isNatsError, NatsError } from '../errors.js';
import type { RecordStore, Versioned } from '../records/record-store.js';

/** What stands in the lease's record; the store's `ttlMs` ends it. */
export interface LeaseRecord {
  readonly owner: string;
  /** Tells two processes of one name apart. */
  readonly holder: string;
}

/** The right to do something alone, for as long as `lost` has not aborted. */
export interface Lease {
  readonly name: string;
  readonly owner: string;
  /** Larger than every earlier holder's: what the lease protects refuses smaller ones. */
  readonly token: number;
  /**
   * Aborts before anybody else can get the lease, with a NatsError LEASE_LOST as its reason.
   */
  readonly lost: AbortSignal;
  /** Ends the lease now. */
  release(): Promise<void>;
}

export interface AcquireLeaseOptions {
  /** Opened with this `ttlMs`; any number of leases may share it. */
  readonly store: RecordStore<LeaseRecord>;
  readonly name: string;
  readonly owner: string;
  readonly ttlMs: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
  /** The store held so many messages too many, and was emptied. */
  readonly onMended?: (surplus: number) => void;
  readonly clock?: Clock;
}

/**
 * Waits for the lease, and renews it every third of its time until it is released or lost.
 * @throws the signal's reason
 */
export async function acquireLease(options: AcquireLeaseOptions): Promise<Lease> {
  for (;;) {
    options.signal?.throwIfAborted();
    const lease = await tryAcquireLease(options);
    if (lease) return lease;
    await sleep(options.ttlMs / 4, options);
  }
}

/** @returns undefined when another holds it, or when its store had to be mended first */
export async function tryAcquireLease({
  store,
  name,
  owner,
  ttlMs,
  onMended,
  clock = systemClock,
}: AcquireLeaseOptions): Promise<Lease | undefined> {
  const startedMs = clock.now();
  if (await mend(store, onMended)) return undefined;
  try {
    const record = await store.create(name, { owner, holder: randomUUID() });
    return (await mend(store, onMended))
      ? undefined
      : new HeldLease(store, record, { ttlMs, startedMs, clock });
  } catch (error) {
    if (isNatsError(error, 'RECORD_EXISTS')) return undefined;
    throw error;
  }
}

/**
 * A server that has lost count of a store's records lets everybody create the lease, and nobody
 * renew it. Emptying the store makes it count anew; who held the lease loses it when it renews.
 * @returns whether it was necessary
 */
async function mend(
  store: RecordStore<LeaseRecord>,
  onMended: AcquireLeaseOptions['onMended'],
): Promise<boolean> {
  // The server counts messages and keys one after the other, and a record may run out in between.
  if ((await store.surplus()) <= 0) return false;
  const surplus = await store.surplus();
  if (surplus <= 0) return false;
  await store.purge();
  onMended?.(surplus);
  return true;
}

class HeldLease implements Lease {
  readonly name: string;
  readonly owner: string;
  readonly token: number;
  readonly #lost = new AbortController();
  readonly #renewal: Renewal;
  #revision: number;

  constructor(
    private readonly store: RecordStore<LeaseRecord>,
    private readonly record: Versioned<LeaseRecord>,
    { ttlMs, startedMs, clock }: { ttlMs: number; startedMs: number; clock: Clock },
  ) {
    this.name = record.key;
    this.owner = record.value.owner;
    this.token = record.revision;
    this.#revision = record.revision;
    this.#renewal = new Renewal({
      everyMs: ttlMs / 3,
      // The holder knows before the server forgets.
      lostAfterMs: ttlMs * 0.9,
      startedMs,
      renew: () => this.#renew(),
      onLost: (reason) => this.#lose(reason),
      clock,
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    if (this.#lost.signal.aborted) return;
    this.#lose('it was released');
    await this.#renewal.end();
    await this.store.delete(this.name, this.#revision).catch((error: unknown) => {
      // Somebody else has it by now, or it runs out by itself.
      if (!isNatsError(error)) throw error;
    });
  }

  async #renew(): Promise<string | null> {
    try {
      const { revision } = await this.store.update(this.name, this.record.value, this.#revision);
      this.#revision = revision;
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  #lose(reason: string): void {
    this.#lost.abort(
      new NatsError(
        'LEASE_LOST',
        `lease: ${this.owner} does not hold ${this.name} any more: ${reason}`,
      ),
    );
  }
}

/** A record that leaders write: `fence` is the token of the last one. */
export interface Fenced {
  readonly fence: number;
}

/**
 * Changes a record unless a later holder of the lease has written it.
 * @throws NatsError LEASE_LOST
 */
export function modifyFenced<T extends Fenced>(
  store: RecordStore<T>,
  key: string,
  token: number,
  change: (value: T) => T,
): Promise<Versioned<T>> {
  return store.modify(key, (value) => {
    if (value.fence > token)
      throw new NatsError(
        'LEASE_LOST',
        `lease: token ${token} is older than ${value.fence}, which wrote ${key}`,
      );
    const next = change(value);
    return next === value && value.fence === token ? value : { ...next, fence: token };
  });
}
