import { rm, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { archivedRowsName } from '@emloc/contracts';
import { ArchiveRefusal, isArchive, unpackFiles } from '@emloc/untrusted';

import { JobStorageError } from './errors.js';

/**
 * Where uploaded data is read: rows as they are; an archive becomes the folder of its files, whose
 * name is the archive's without its ending, and its rows are read there, if it has any.
 * @throws JobStorageError JOB_DATASET_INVALID; errors of the file system; the signal's reason
 */
export async function unpackDataset(
  path: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<string> {
  if (!(await isArchive(path))) return path;
  const folder = path.slice(0, path.length - extname(path).length);
  try {
    await unpackFiles(path, folder, signal ? { signal } : {});
  } catch (error) {
    if (!(error instanceof ArchiveRefusal)) throw error;
    throw new JobStorageError(
      'JOB_DATASET_INVALID',
      `${basename(folder)}: the uploaded archive cannot be used: ${error.message}`,
      { cause: error },
    );
  }
  await rm(path);
  const rows = join(folder, archivedRowsName);
  return (await isFile(rows)) ? rows : folder;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isFile(),
    () => false,
  );
}
