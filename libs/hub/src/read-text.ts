import { FileRefusal, readRegularFile } from '@emloc/untrusted';

import { cacheError } from './errors.js';

/** Listings and indexes of the largest repositories have a few of them. */
const maxBytes = 100_000_000;

/**
 * The text of a file of the cache.
 * @throws HubError HUB_CACHE_FAILED for a pipe, a device, a folder, or more than is read
 */
export async function readText(path: string): Promise<string> {
  try {
    return (await readRegularFile(path, maxBytes)).toString('utf8');
  } catch (error) {
    throw error instanceof FileRefusal ? cacheError(error, path) : error;
  }
}
