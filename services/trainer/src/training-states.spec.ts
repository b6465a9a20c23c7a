import { JobStorageError } from '@emloc/job-storage';
import type { TensorRecord } from '@emloc/pipeline';
import type { StageAttempt } from '@emloc/stage';

import { stepOf, TrainingStates } from './training-states.js';

const state = (step: number): TensorRecord =>
  ({ tensors: [], attributes: { step: String(step) } }) as unknown as TensorRecord;

/** A job's storage, in memory, that attempts with growing tokens share. */
function storage() {
  const tensors = new Map<string, TensorRecord>();
  const record: { fence: number; checkpoint: string | null } = { fence: 0, checkpoint: null };
  const statesOf = (token: number): TrainingStates => {
    record.fence = token;
    const write = async ({ checkpoint }: { checkpoint?: string | null }): Promise<void> => {
      if (record.fence > token) throw new JobStorageError('STAGE_STALE_FENCING_TOKEN', 'stale');
      record.checkpoint = checkpoint ?? null;
    };
    const records = {
      write: async (_kind: string, key: string, value: TensorRecord) =>
        void tensors.set(key, value),
      read: async (_kind: string, key: string) => tensors.get(key),
      delete: async (key: string) => void tensors.delete(key),
    };
    return new TrainingStates(
      {
        job: 'j',
        token,
        record: { ...record, result: null },
        records,
        write,
      } as unknown as StageAttempt,
      'train',
    );
  };
  return { tensors, record, statesOf };
}

test('the newest state is kept and named by the record; the next attempt loads it', async () => {
  const { tensors, record, statesOf } = storage();
  const first = statesOf(1);
  expect(await first.load()).toBeNull();
  for (const step of [50, 100]) await first.save(step, state(step));
  expect([...tensors.keys()]).toEqual([record.checkpoint]);
  expect(await statesOf(2).load()).toEqual(state(100));
  expect([stepOf(record.checkpoint), stepOf(null)]).toEqual([100, 0]);
});

test('the state of a stale attempt replaces nothing', async () => {
  const { tensors, record, statesOf } = storage();
  const stale = statesOf(1);
  await stale.save(50, state(50));
  const newer = statesOf(2);
  await newer.save(60, state(60));
  await expect(stale.save(100, state(100))).rejects.toMatchObject({
    code: 'STAGE_STALE_FENCING_TOKEN',
  });
  expect(stepOf(record.checkpoint)).toBe(60);
  expect(await newer.load()).toEqual(state(60));
  expect([...tensors.keys()]).toEqual([record.checkpoint]);
});
