import { isNatsError, type RecordStore } from '@emloc/nats';

/** Sees to it that a record is there; one that is stays as it is. */
export async function createIfMissing<T>(
  records: RecordStore<T>,
  key: string,
  value: T,
): Promise<void> {
  if (await records.get(key)) return;
  try {
    await records.create(key, value);
  } catch (error) {
    if (!isNatsError(error, 'RECORD_EXISTS')) throw error;
  }
}
