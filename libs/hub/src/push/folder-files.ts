import type { Dirent, Stats } from 'node:fs';
import { access, constants, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { cut, HubError } from '../errors.js';
import { isPushed, kindOf, pushedFolders } from './pushed-paths.js';

/** A file as it was when the push began. */
export interface LocalFile {
  /** With slashes, relative to the folder. */
  readonly path: string;
  /** Absolute, without links. */
  readonly place: string;
  readonly sizeBytes: number;
  readonly stamp: string;
}

/** What is in the folder and is not sent. */
export interface LeftOut {
  /** Folders end with a slash. */
  readonly path: string;
  readonly why: 'hidden' | 'not on the list' | 'leads out of the folder' | 'no file';
}

export interface FolderFiles {
  readonly kind: 'adapter' | 'checkpoint';
  /** Sorted by path. */
  readonly files: readonly LocalFile[];
  readonly leftOut: readonly LeftOut[];
}

/**
 * The files of an adapter or a checkpoint that are sent to a hub, and what else is beside them.
 * @throws HubError HUB_FOLDER_INVALID for a folder that is neither, or cannot be read
 */
export async function folderFiles(folder: string): Promise<FolderFiles> {
  try {
    const found = await filesIn(await realpath(folder), '');
    const files = found.filter(isLocalFile).sort((a, b) => (a.path < b.path ? -1 : 1));
    const leftOut = found.filter((entry): entry is LeftOut => !isLocalFile(entry));
    const kind = kindOf(files.map(({ path }) => path));
    if (kind) return { kind, files, leftOut };
  } catch (error) {
    const { code, path = folder } = error as NodeJS.ErrnoException;
    throw new HubError('HUB_FOLDER_INVALID', `${path} cannot be read (${code})`, { cause: error });
  }
  throw new HubError(
    'HUB_FOLDER_INVALID',
    `${folder}: neither an adapter (adapter_config.json with adapter_model.safetensors, or pytorch_lora_weights.safetensors) nor a checkpoint with safetensors; links out of the folder do not count`,
  );
}

/**
 * Works on files that should stay as they are; what fails because they did not is told so.
 * @throws HubError HUB_FILE_CHANGED, else what `work` throws
 */
export async function withUnchanged<T>(
  files: readonly LocalFile[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await assertUnchanged(files);
    throw error;
  }
}

/** @throws HubError HUB_FILE_CHANGED naming the first file that is not as it was */
export async function assertUnchanged(files: readonly LocalFile[]): Promise<void> {
  for (const { path, place, stamp } of files) {
    const now = await lstat(place).then(stampOf, () => 'gone');
    if (now !== stamp)
      throw new HubError(
        'HUB_FILE_CHANGED',
        `${cut(path)} was changed while it was sent; nothing was committed`,
      );
  }
}

async function filesIn(root: string, folder: string): Promise<(LocalFile | LeftOut)[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const found = await Promise.all(entries.map((entry) => entryIn(root, folder, entry)));
  return found.flat();
}

async function entryIn(
  root: string,
  folder: string,
  entry: Dirent,
): Promise<readonly (LocalFile | LeftOut)[]> {
  const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
  if (entry.name.startsWith('.')) return [{ path, why: 'hidden' }];
  if (entry.isDirectory())
    return folder === '' && pushedFolders.includes(entry.name)
      ? filesIn(root, entry.name)
      : [{ path: `${path}/`, why: 'not on the list' }];
  if (!isPushed(path)) return [{ path, why: 'not on the list' }];
  const place = await realpath(join(root, path)).catch(() => null);
  if (place === null || !place.startsWith(root.endsWith(sep) ? root : root + sep))
    return [{ path, why: 'leads out of the folder' }];
  const stats = await stat(place);
  await access(place, constants.R_OK);
  if (!stats.isFile()) return [{ path, why: 'no file' }];
  return [{ path, place, sizeBytes: stats.size, stamp: stampOf(stats) }];
}

function isLocalFile(entry: LocalFile | LeftOut): entry is LocalFile {
  return 'place' in entry;
}

/** Differs once a file was written to or replaced. */
function stampOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
}
