import type { JsonValue } from '@bufbuild/protobuf';
import type { ObjectBucket, StoredObject } from '@emloc/nats';

import { datasetKey } from './datasets.js';
import { sourceNames } from './job-service/sources.js';
import type { JobRecord } from './jobs/record.js';
import { sha256OfDataset } from './resource-names.js';

export interface DatasetRemoval {
  readonly datasets: Pick<ObjectBucket, 'list' | 'delete'>;
  readonly retentionMs: number;
  /** Every job that is known, when it is asked for. */
  readonly jobs: () => Iterable<Referring>;
}

/** What a decision about data sets needs to know of a job. */
export type Referring = Pick<JobRecord, 'tenant' | 'options' | 'deleteTime'>;

/**
 * Removes the data sets that are old and that no job refers to. A request for a job touches its
 * data sets before it is accepted, so that they stay until the job is known. @returns how many it
 * removed @throws what the bucket throws
 */
export async function removeOldDatasets({
  datasets,
  retentionMs,
  jobs,
}: DatasetRemoval): Promise<number> {
  const stored = await datasets.list();
  let removed = 0;
  for (const { name, modified } of datasetsToRemove(stored, jobs(), {
    nowMs: Date.now(),
    retentionMs,
  })) {
    if (await datasets.delete(name, { modified })) removed += 1;
  }
  return removed;
}

/**
 * Data sets last uploaded or asked for before the retention began, without those of jobs that are
 * not deleted; 0 keeps them for ever.
 */
export function datasetsToRemove<T extends Pick<StoredObject, 'name' | 'modified'>>(
  stored: readonly T[],
  jobs: Iterable<Referring>,
  { nowMs, retentionMs }: { nowMs: number; retentionMs: number },
): T[] {
  if (retentionMs === 0) return [];
  const old = stored.filter(({ modified }) => nowMs - Date.parse(modified) >= retentionMs);
  if (old.length === 0) return [];
  const referred = new Set(
    [...jobs].filter(({ deleteTime }) => deleteTime === undefined).flatMap(datasetKeysOf),
  );
  return old.filter(({ name }) => !referred.has(name));
}

function datasetKeysOf({ tenant, options }: Referring): string[] {
  const more = fieldOf(options, 'moreData');
  const sources = [
    ...sourceNames.map((source) => fieldOf(options, source)),
    ...(Array.isArray(more) ? more : []),
  ];
  return sources.flatMap((source) => {
    const name = fieldOf(source, 'dataset');
    const sha256 = typeof name === 'string' ? sha256OfDataset(name) : undefined;
    return sha256 === undefined ? [] : [datasetKey(tenant, sha256)];
  });
}

function fieldOf(value: JsonValue | undefined, name: string): JsonValue | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? value[name]
    : undefined;
}
