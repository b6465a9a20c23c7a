/** What the schedule needs to know of a job that is not over. */
export interface Schedulable {
  readonly id: string;
  readonly tenant: string;
  readonly state: 'QUEUED' | 'RUNNING' | 'CANCELLING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';
  readonly createTime: string;
}

/** Jobs, and when each tenant's last one started: RFC 3339, absent where none ever did. */
export interface ScheduleInputs {
  readonly jobs: Iterable<Schedulable>;
  /** Jobs that take a place now. */
  readonly running: readonly { readonly tenant: string }[];
  readonly lastStart: ReadonlyMap<string, string>;
  readonly maxRunning: number;
}

/**
 * The job that is started next; undefined: none is. Tenants take turns: the one with the fewest
 * running jobs goes first, among equals the one whose last start is the longest ago, and its oldest
 * job. So a tenant's first job waits for others only as long as for a place.
 */
export function chooseNext({
  jobs,
  running,
  lastStart,
  maxRunning,
}: ScheduleInputs): Schedulable | undefined {
  if (running.length >= maxRunning) return undefined;
  const runningOf = (tenant: string): number =>
    running.filter((job) => job.tenant === tenant).length;
  let best: Schedulable | undefined;
  for (const job of oldestByTenant(jobs).values()) {
    if (!best || precedes(job, best, { runningOf, lastStart })) best = job;
  }
  return best;
}

function oldestByTenant(jobs: Iterable<Schedulable>): Map<string, Schedulable> {
  const oldest = new Map<string, Schedulable>();
  for (const job of jobs) {
    const other = oldest.get(job.tenant);
    if (job.state === 'QUEUED' && (!other || isOlder(job, other))) oldest.set(job.tenant, job);
  }
  return oldest;
}

function precedes(
  a: Schedulable,
  b: Schedulable,
  {
    runningOf,
    lastStart,
  }: { runningOf: (tenant: string) => number; lastStart: ReadonlyMap<string, string> },
): boolean {
  const busier = runningOf(a.tenant) - runningOf(b.tenant);
  if (busier !== 0) return busier < 0;
  const [startA, startB] = [lastStart.get(a.tenant) ?? '', lastStart.get(b.tenant) ?? ''];
  return startA === startB ? isOlder(a, b) : startA < startB;
}

function isOlder(a: Schedulable, b: Schedulable): boolean {
  return a.createTime === b.createTime ? a.id < b.id : a.createTime < b.createTime;
}
