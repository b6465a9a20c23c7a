import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, realpath, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { CheckpointError, errnoCode, fileError } from './errors.js';

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
    const file = await open(temporary, 'wx');
    try {
      if (typeof content === 'function') await content(file);
      else await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw fileError(error, path);
  }
  await syncFolder(dirname(path));
}

/**
 * Fills a temporary folder beside `folder`, syncs all that is in it and renames it, so that
 * `folder` either does not exist or is complete. Parents are created. On failure or abort the
 * temporary folder is removed.
 * @throws CheckpointError CHECKPOINT_OUTPUT_EXISTS when `folder` exists and is not an empty folder.
 */
export async function createFolderAtomic<T>(
  folder: string,
  fill: (temporary: string) => Promise<T>,
  { signal }: AtomicOptions = {},
): Promise<T> {
  signal?.throwIfAborted();
  const target = await vacantFolder(folder);
  const temporary = siblingOf(target);
  try {
    await mkdir(dirname(target), { recursive: true });
    await mkdir(temporary);
    const result = await fill(temporary);
    await syncTree(temporary);
    signal?.throwIfAborted();
    await rename(temporary, target);
    await syncFolder(dirname(target));
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errnoCode(error) ?? '')
      ? outputExists(folder, { cause: error })
      : fileError(error, folder);
  }
}

/**
 * The path, symbolic links resolved, where a folder can be created.
 * @throws CheckpointError CHECKPOINT_OUTPUT_EXISTS when something other than an empty folder is
 * there.
 */
export async function vacantFolder(folder: string): Promise<string> {
  try {
    const target = await realpath(folder);
    if ((await readdir(target)).length > 0) throw outputExists(folder);
    return target;
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT') return resolve(folder);
    throw code === 'ENOTDIR' ? outputExists(folder, { cause: error }) : fileError(error, folder);
  }
}

function outputExists(folder: string, options?: ErrorOptions): CheckpointError {
  return new CheckpointError(
    'CHECKPOINT_OUTPUT_EXISTS',
    `${folder} exists and is not an empty folder`,
    options,
  );
}

function siblingOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile())
      await syncPath(path, process.platform === 'win32' ? constants.O_RDWR : constants.O_RDONLY);
  }
  await syncFolder(folder);
}

/** Makes renames in a folder durable. Windows cannot open folders and needs no such sync. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform !== 'win32') await syncPath(folder, constants.O_RDONLY);
}

async function syncPath(path: string, flags: number): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
