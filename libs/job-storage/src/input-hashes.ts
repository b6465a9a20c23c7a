import { createHash } from 'node:crypto';
import { isNatsError, type RecordStore } from '@emloc/nats';

/** A hash of an input of a job, as the process has found it that read the input first. */
export interface InputHash {
  readonly name: string;
  readonly hash: string;
}

/** What the processes of a job have read, so that none of them goes on with something else. */
export interface InputHashes {
  /** Resolves to the hash that stands: an earlier one, or this. */
  remember(job: string, input: InputHash): Promise<string>;
}

export function openInputHashes(records: RecordStore<InputHash>): InputHashes {
  const remember = async (key: string, input: InputHash): Promise<string> => {
    const found = await records.get(key);
    if (found) return found.value.hash;
    try {
      await records.create(key, input);
      return input.hash;
    } catch (error) {
      if (!isNatsError(error, 'RECORD_EXISTS')) throw error;
      return remember(key, input);
    }
  };
  return { remember: (job, input) => remember(`${job}.${tokenOf(input.name)}`, input) };
}

/** One token of a key, whatever the name has in it. */
function tokenOf(name: string): string {
  return `input-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
}
