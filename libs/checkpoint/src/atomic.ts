import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { fileError } from './errors.js';

export interface AtomicOptions {
  /** Checked before the rename: an aborted write leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** What goes into a file: all of it, or a function that writes it. */
export type FileContent = string | Uint8Array | ((file: FileHandle) => Promise<void>);

/**
 * Writes a file beside its place, syncs it to disk and renames it, so that `path` is either as
 * before or complete. The folder must exist.
 */
export async function writeFileAtomic(
  path: string,
  content: FileContent,
  { signal }: AtomicOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  const temporary = siblingOf(path);
  try {
    await writeSynced(temporary, content);
    signal?.throwIfAborted();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw fileError(error, path);
  }
  await syncFolder(dirname(path));
}

/** Writes a file that is not there yet in its place and syncs it to disk. */
export async function writeSynced(path: string, content: FileContent): Promise<void> {
  await using file = await open(path, 'wx');
  if (typeof content === 'function') await content(file);
  else await file.writeFile(content);
  await file.sync();
}

function siblingOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
}

/** Makes everything in a folder durable. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile())
      await syncPath(path, process.platform === 'win32' ? constants.O_RDWR : constants.O_RDONLY);
  }
  await syncFolder(folder);
}

/** Makes renames in a folder durable. Windows cannot open folders and needs no such sync. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform !== 'win32') await syncPath(folder, constants.O_RDONLY);
}

async function syncPath(path: string, flags: number): Promise<void> {
  await using handle = await open(path, flags);
  await handle.sync();
}
