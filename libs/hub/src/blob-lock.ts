import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sleep } from '@emloc/time';
import { FileRefusal, openRegularFile } from '@emloc/untrusted';

import { cacheError } from './errors.js';
import { tryFlock } from './native-flock.js';

/** Held while a blob is downloaded. */
export interface BlobLock {
  /** False where the system has no lock: others may be downloading the same blob. */
  readonly isExclusive: boolean;
  release(): Promise<void>;
}

const pollMs = 200;

/**
 * Takes the lock of a blob, the same one as Python's huggingface_hub, or waits for whoever has it.
 * The lock file stays.
 * @throws HubError HUB_CACHE_FAILED where something else than a file has its name
 */
export async function lockBlob(
  path: string,
  { signal, onWait }: { readonly signal: AbortSignal; readonly onWait: () => void },
): Promise<BlobLock> {
  await mkdir(dirname(path), { recursive: true });
  const { handle: file } = await openRegularFile(path, { use: 'append', mode: 0o664 }).catch(
    (error: unknown) => {
      throw error instanceof FileRefusal ? cacheError(error, path) : error;
    },
  );
  try {
    for (let polls = 0; ; polls += 1) {
      signal.throwIfAborted();
      const state = await tryFlock(file.fd);
      if (state !== 'held') return { isExclusive: state === 'taken', release: () => file.close() };
      if (polls === 0) onWait();
      await sleep(pollMs, { signal });
    }
  } catch (error) {
    await file.close();
    throw error;
  }
}
