import { RpcError } from '@emloc/rpc';
import { systemClock, type Clock } from '@emloc/time';

export interface TurnLimits {
  /** Pieces of work at the same time, and those of one tenant among them. */
  readonly places: number;
  readonly placesOfTenant: number;
  /** Calls of one tenant that may wait. */
  readonly waitingOfTenant: number;
  /**
   * Work that fails after so long leaves its tenant's place empty for some times as long: whoever
   * makes others end it time and again gets less of the processor than they.
   */
  readonly restAfterMs: number;
  /** What the work is, in messages: `plans`. */
  readonly work: string;
  /** Reason of the error of a tenant that has too many calls. */
  readonly reason: string;
}

/**
 * Runs work of tenants, a few pieces at a time; the rest waits. A free place goes to the tenant
 * with the fewest of them, so that nobody waits for the many calls of another. A call whose signal
 * aborts leaves the queue, or its place as soon as the work has ended.
 * @throws RpcError RESOURCE_EXHAUSTED for a tenant with too many calls of its own; the signal's
 * reason
 */
export type Turns = <T>(tenant: string, signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

interface Waiting {
  readonly tenant: string;
  readonly start: () => void;
}

const retryDelayMs = 1000;
const restTimes = 4;
const mostRestMs = 10_000;

export function createTurns(limits: TurnLimits, clock: Clock = systemClock): Turns {
  const waiting: Waiting[] = [];
  const running: string[] = [];
  const resting: string[] = [];
  const startNext = (): void => {
    for (;;) {
      const next = nextTurn(waiting, { running, resting }, limits);
      if (!next) return;
      waiting.splice(waiting.indexOf(next), 1);
      running.push(next.tenant);
      next.start();
    }
  };
  const place = (tenant: string, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      assertRoom(
        countOf(
          tenant,
          waiting.map(({ tenant: owner }) => owner),
        ),
        limits,
      );
      const leave = (): void => {
        waiting.splice(waiting.indexOf(entry), 1);
        reject(signal.reason as Error);
      };
      const start = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const entry = { tenant, start };
      signal.addEventListener('abort', leave, { once: true });
      waiting.push(entry);
      startNext();
    });
  const rest = (tenant: string, workedMs: number): void => {
    if (workedMs < limits.restAfterMs) return;
    resting.push(tenant);
    clock.after(
      Math.min(mostRestMs, restTimes * workedMs),
      () => {
        resting.splice(resting.indexOf(tenant), 1);
        startNext();
      },
      { holdsProcess: false },
    );
  };
  return async (tenant, signal, work) => {
    await place(tenant, signal);
    const startedMs = clock.now();
    try {
      return await work();
    } catch (error) {
      rest(tenant, clock.now() - startedMs);
      throw error;
    } finally {
      running.splice(running.indexOf(tenant), 1);
      startNext();
    }
  };
}

/** Of the tenants that may have another place, one with the fewest; of its calls the oldest. */
function nextTurn(
  waiting: readonly Waiting[],
  { running, resting }: { running: readonly string[]; resting: readonly string[] },
  { places, placesOfTenant }: TurnLimits,
): Waiting | undefined {
  if (running.length >= places) return undefined;
  const taken = [...running, ...resting];
  return waiting
    .map((entry) => ({ entry, places: countOf(entry.tenant, taken) }))
    .filter((candidate) => candidate.places < placesOfTenant)
    .sort((a, b) => a.places - b.places)
    .at(0)?.entry;
}

function countOf(tenant: string, owners: readonly string[]): number {
  return owners.filter((owner) => owner === tenant).length;
}

function assertRoom(count: number, { waitingOfTenant, work, reason }: TurnLimits): void {
  if (count < waitingOfTenant) return;
  throw new RpcError(
    'RESOURCE_EXHAUSTED',
    `${count} ${work} of this tenant wait already, ${waitingOfTenant} are allowed`,
    { reason, retryDelayMs },
  );
}
