import { lstat, readdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { errnoCode, fileError } from '../errors.js';

/** A disk as it is when one asks. */
export interface DiskSpace {
  readonly freeBytes: number;
  /** Files that can still be created; Infinity where the file system has no such limit. */
  readonly freeFiles: number;
  /** What each file takes a multiple of. */
  readonly blockBytes: number;
}

/** File systems tell what they like to be read by, which may be more than what they allocate. */
const [leastBlockBytes, mostBlockBytes] = [4096, 65_536];
/** Inode and name of a file; of the list of its extents, one part in so many of its bytes. */
const [entryBytes, extentShare] = [512, 512];
/** Folders, locks, notes about changes. */
const fixedBytes = 65_536;

/** Of the file system of a folder, or of what it will be created in. @throws CheckpointError */
export async function diskSpaceAt(folder: string): Promise<DiskSpace> {
  const found = await statfs(folder).catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT' && dirname(folder) !== folder) return null;
    throw fileError(error, folder);
  });
  if (found === null) return diskSpaceAt(dirname(folder));
  const { bavail, bsize, files, ffree } = found;
  return {
    freeBytes: bavail * bsize,
    freeFiles: files > 0 ? ffree : Number.POSITIVE_INFINITY,
    blockBytes: Math.min(mostBlockBytes, Math.max(leastBlockBytes, bsize)),
  };
}

/** What files of these sizes take of a disk, with what the file system adds; never too little. */
export function bytesOnDisk(
  files: readonly number[],
  { blockBytes }: Pick<DiskSpace, 'blockBytes'>,
): number {
  return files.reduce(
    (sum, bytes) =>
      sum + Math.ceil(bytes / blockBytes) * blockBytes + bytes / extentShare + entryBytes,
    fixedBytes,
  );
}

/** What is stored in a folder and below; nothing where it is not there. Links are not followed. */
export async function storedIn(
  folder: string,
): Promise<{ readonly bytes: number; readonly files: number }> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile());
  let bytes = 0;
  for (const { parentPath, name } of files)
    bytes += await lstat(join(parentPath, name)).then(
      ({ blocks }) => blocks * 512,
      () => 0,
    );
  return { bytes, files: files.length };
}
