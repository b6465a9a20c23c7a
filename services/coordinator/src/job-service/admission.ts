import { RpcError } from '@emloc/rpc';

import type { JobIndex } from '../jobs/job-index.js';

/** What decides whether a tenant's job has room in the queue. */
export interface Admission {
  readonly index: JobIndex;
  readonly maxQueuedJobs: number;
  /**
   * Jobs that calls of this process are making now, by id, with their tenants: they take room
   * already.
   */
  readonly inCreation: Map<string, string>;
}

/**
 * Makes a job while it takes room, so that calls of this process at the same time cannot exceed the
 * limit together.
 * @throws RpcError RESOURCE_EXHAUSTED
 */
export async function withRoom<T>(
  id: string,
  tenant: string,
  admission: Admission,
  make: () => Promise<T>,
): Promise<T> {
  const { inCreation } = admission;
  // Repetitions of one request make one job: the first of them holds its room.
  if (inCreation.has(id)) return make();
  assertRoom(id, tenant, admission);
  inCreation.set(id, tenant);
  try {
    return await make();
  } finally {
    inCreation.delete(id);
  }
}

function assertRoom(
  id: string,
  tenant: string,
  { index, maxQueuedJobs, inCreation }: Admission,
): void {
  const waiting = new Set(
    [...inCreation].filter(([, owner]) => owner === tenant).map(([key]) => key),
  );
  for (const job of index.all())
    if (job.tenant === tenant && job.state === 'QUEUED') waiting.add(job.id);
  const queued = waiting.size;
  if (queued < maxQueuedJobs || waiting.has(id)) return;
  throw new RpcError(
    'RESOURCE_EXHAUSTED',
    `${queued} jobs are queued, ${maxQueuedJobs} are allowed`,
    { reason: 'TOO_MANY_QUEUED_JOBS' },
  );
}
