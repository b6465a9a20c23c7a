import { FileRefusal, readRegularFile } from '@emloc/untrusted';

import { RowError } from '../errors.js';

/** The bytes of a file beside pictures. @throws RowError, or an error of the file system */
export async function smallFile(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    return await readRegularFile(path, maxBytes);
  } catch (error) {
    throw error instanceof FileRefusal ? new RowError(null, error.reason) : error;
  }
}
