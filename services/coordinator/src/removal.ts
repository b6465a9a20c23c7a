import type { JobStorage } from '@emloc/job-storage';
import type { NumberedLog, RecordStore } from '@emloc/nats';

import { artifactKey } from './artifacts.js';
import type { LogEntry } from './jobs/ledger.js';
import { isFinal, jobKey, type JobRecord } from './jobs/record.js';
import { requestDelete } from './jobs/transitions.js';

export interface RemovalParts {
  readonly store: RecordStore<JobRecord>;
  readonly storage: Pick<JobStorage, 'artifacts' | 'discardWork' | 'deleteSpec'>;
  readonly log: Pick<NumberedLog<LogEntry>, 'delete'>;
}

/** What a decision about a job's removal needs to know of it. */
export type Removable = Pick<JobRecord, 'state' | 'settled' | 'endTime' | 'deleteTime'>;

/**
 * Whether what is stored of a job goes: it was deleted, or has been over for the retention; 0 keeps
 * jobs for ever.
 */
export function isToBeRemoved(
  { state, settled, endTime, deleteTime }: Removable,
  { nowMs, retentionMs }: { nowMs: number; retentionMs: number },
): boolean {
  if (!settled || !isFinal(state)) return false;
  if (deleteTime !== undefined) return true;
  return retentionMs > 0 && endTime !== null && nowMs - Date.parse(endTime) >= retentionMs;
}

/**
 * Removes everything that is stored of a job that is over. The record is hidden first and deleted
 * last, so that who was interrupted, or another in its place, finds it and begins again; doing so
 * is harmless. @throws NatsError RECORD_NOT_FOUND when nothing is left of it
 */
export async function removeJob(
  { tenant, id }: Pick<JobRecord, 'tenant' | 'id'>,
  { store, storage, log }: RemovalParts,
): Promise<void> {
  const { value, revision } = await store.modify(jobKey(tenant, id), (record) =>
    requestDelete(record, new Date()),
  );
  if (value.deleteTime === undefined) return;
  await storage.discardWork(id);
  for (const { path } of value.artifacts) await storage.artifacts.delete(artifactKey(id, path));
  await log.delete(id);
  await storage.deleteSpec(id);
  await store.delete(jobKey(tenant, id), revision);
}
