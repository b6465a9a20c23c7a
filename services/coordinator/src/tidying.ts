import type { JobStorage } from '@emloc/job-storage';

import { removeOldDatasets, type DatasetRemoval } from './dataset-removal.js';

type Buckets = Pick<JobStorage, 'datasets' | 'tensorBucket' | 'artifacts'>;

export interface TidyingOptions extends Pick<DatasetRemoval, 'jobs' | 'retentionMs'> {
  readonly storage: {
    readonly [Name in keyof Buckets]: Pick<Buckets[Name], 'list' | 'delete' | 'sweepOrphans'>;
  };
  /** How long an upload of a data set may stand still. */
  readonly uploadIdleMs: number;
  /** Default: the process's. */
  readonly clockMs?: () => number;
}

const sweepEveryMs = 5 * 60_000;
/** A process that stores something gives up after less silence of the server. */
const leastOrphanMs = 15 * 60_000;

/**
 * What a leader does from time to time: removes data sets that are old and that no job refers to,
 * and what processes had stored when they were killed and that nothing will ever name.
 */
export function createTidying({
  storage,
  jobs,
  retentionMs,
  uploadIdleMs,
  clockMs = () => performance.now(),
}: TidyingOptions): () => Promise<void> {
  const orphanMs = Math.max(leastOrphanMs, 2 * uploadIdleMs);
  let sweptMs = Number.NEGATIVE_INFINITY;
  return async () => {
    await removeOldDatasets({ datasets: storage.datasets, retentionMs, jobs });
    if (clockMs() - sweptMs < sweepEveryMs) return;
    for (const bucket of [storage.tensorBucket, storage.datasets, storage.artifacts])
      await bucket.sweepOrphans(orphanMs);
    sweptMs = clockMs();
  };
}
