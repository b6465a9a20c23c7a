import { open } from 'node:fs/promises';

import type { ObjectBucket, ReadOptions, StoredObject } from './object-bucket.js';

/**
 * Writes an object into a new file that its owner alone can read. After an error the file holds a
 * part of it.
 * @throws what `get` throws; a file system's error, also when the file is there already
 */
export async function getObjectFile(
  bucket: ObjectBucket,
  name: string,
  path: string,
  options: ReadOptions = {},
): Promise<StoredObject> {
  const file = await open(path, 'wx', 0o600);
  try {
    return await bucket.get(
      name,
      { write: async (offset, bytes) => void (await file.write(bytes, 0, bytes.length, offset)) },
      options,
    );
  } finally {
    await file.close();
  }
}
