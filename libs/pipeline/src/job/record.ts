import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { readJsonObject, recordFileName } from '@emloc/checkpoint';

/**
 * What emloc.json of an adapter says; null where there is none, as in those of other programs.
 * @throws CheckpointError where it cannot be read
 */
export async function readRecord(
  adapter: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  const path = join(adapter, recordFileName);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  return isThere ? readJsonObject(path, 'CHECKPOINT_ADAPTER_INVALID') : null;
}
