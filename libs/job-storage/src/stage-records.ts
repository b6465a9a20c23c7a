import type { RecordStore } from '@emloc/nats';

import { createIfMissing } from './create-if-missing.js';
import { JobStorageError } from './errors.js';

/** What is remembered of a stage of a job between attempts. */
export interface StageRecord {
  /** Fencing token of the newest attempt. */
  readonly fence: number;
  /** Key of the newest training state among the tensors. */
  readonly checkpoint: string | null;
  /** The finished stage's result message, as JSON. */
  readonly result: unknown;
}

/** The stages of jobs, by job and name of the stage; written by the newest attempt only. */
export interface StageRecords {
  /**
   * Opens an attempt.
   * @throws JobStorageError STAGE_STALE_FENCING_TOKEN when a newer one has been seen
   */
  claim(job: string, stage: string, token: number): Promise<StageRecord>;
  /**
   * Changes the record.
   * @throws JobStorageError STAGE_STALE_FENCING_TOKEN when a newer attempt has been seen
   */
  write(
    job: string,
    stage: string,
    token: number,
    change: Partial<Omit<StageRecord, 'fence'>>,
  ): Promise<void>;
  read(job: string, stage: string): Promise<StageRecord | undefined>;
  /** Jobs of which anything is remembered. */
  jobs(): Promise<readonly string[]>;
  discard(job: string): Promise<void>;
}

export function openStageRecords(records: RecordStore<StageRecord>): StageRecords {
  const keyOf = (job: string, stage: string): string => `${job}.${stage}`;
  const modify = async (
    job: string,
    stage: string,
    { token, change }: { token: number; change: (record: StageRecord) => StageRecord },
  ): Promise<StageRecord> => {
    const { value } = await records.modify(keyOf(job, stage), (record) => {
      if (record.fence > token) throw staleToken(job, stage, { token, newest: record.fence });
      return change(record);
    });
    return value;
  };
  return {
    claim: async (job, stage, token) => {
      await createIfMissing(records, keyOf(job, stage), {
        fence: 0,
        checkpoint: null,
        result: null,
      });
      return modify(job, stage, {
        token,
        change: (record) => (record.fence === token ? record : { ...record, fence: token }),
      });
    },
    write: async (job, stage, token, change) => {
      await modify(job, stage, {
        token,
        change: (record) => ({ ...record, ...change, fence: token }),
      });
    },
    read: async (job, stage) => (await records.get(keyOf(job, stage)))?.value,
    jobs: async () => (await records.list()).map(({ key }) => key.slice(0, key.indexOf('.'))),
    discard: (job) => records.discard(`${job}.*`),
  };
}

function staleToken(
  job: string,
  stage: string,
  { token, newest }: { token: number; newest: number },
): JobStorageError {
  return new JobStorageError(
    'STAGE_STALE_FENCING_TOKEN',
    `stage ${stage} of job ${job}: fencing token ${token} is older than ${newest}, which has been seen`,
  );
}
