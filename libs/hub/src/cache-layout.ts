import { randomBytes } from 'node:crypto';
import { copyFile, link, mkdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, posix, relative, sep } from 'node:path';
import { getRepoFolderName } from '@huggingface/hub';

import { defaultRevision, isCommit, type HubName } from './hub-name.js';
import { readText } from './read-text.js';
import { blobName, type RepoFile } from './repo-file.js';
import { temporaryBeside, writeWhole } from './write-whole.js';

/**
 * A model's part of the cache that is shared with Python's huggingface_hub:
 * `models--OWNER--NAME/{blobs,refs,snapshots,trees}`.
 */
export class RepoCache {
  readonly folder: string;
  readonly blobsFolder: string;
  readonly #locksFolder: string;

  constructor(cacheFolder: string, name: string) {
    const folderName = getRepoFolderName({ type: 'model', name });
    this.folder = join(cacheFolder, folderName);
    this.blobsFolder = join(this.folder, 'blobs');
    this.#locksFolder = join(cacheFolder, '.locks', folderName);
  }

  snapshotFolder(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  pathIn(commit: string, file: string): string {
    return join(this.snapshotFolder(commit), ...file.split(posix.sep));
  }

  blobPath(file: RepoFile): string {
    return join(this.blobsFolder, blobName(file));
  }

  lockPath(file: RepoFile): string {
    return join(this.#locksFolder, `${blobName(file)}.lock`);
  }

  treePath(commit: string): string {
    return join(this.folder, 'trees', `${commit}.json`);
  }

  /** The commit that a revision was at when it was last looked up; null: never. */
  async knownCommit({ revision }: HubName): Promise<string | null> {
    if (isCommit(revision)) return revision;
    const text = await readText(this.#refPath(revision)).catch(() => '');
    const commit = text.trim();
    return isCommit(commit) ? commit : null;
  }

  async rememberCommit(hubName: HubName, commit: string): Promise<void> {
    if (isCommit(hubName.revision) || (await this.knownCommit(hubName)) === commit) return;
    await writeWhole(this.#refPath(hubName.revision), commit);
  }

  /** Whether a snapshot has a file, of the size that the listing says. */
  async has(commit: string, file: RepoFile): Promise<boolean> {
    return (await sizeOf(this.pathIn(commit, file.path))) === file.sizeBytes;
  }

  /** Makes a blob appear in a snapshot, as a relative link where the system has links. */
  async place(commit: string, file: RepoFile): Promise<void> {
    const path = this.pathIn(commit, file.path);
    await mkdir(dirname(path), { recursive: true });
    const beside = temporaryBeside(path);
    try {
      await linkTo(this.blobPath(file), beside, path);
      await rename(beside, path);
    } finally {
      await rm(beside, { force: true });
    }
  }

  #refPath(revision: string | null): string {
    return join(this.folder, 'refs', ...(revision ?? defaultRevision).split(posix.sep));
  }
}

/** Systems and file systems without symbolic links, or without the right to make them. */
const noLinks: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** @param at where the link is made, in the folder of `path`, where it will lie */
async function linkTo(blob: string, at: string, path: string): Promise<void> {
  const target = relative(dirname(path), blob).split(sep).join(posix.sep);
  try {
    await symlink(target, at);
  } catch (error) {
    if (!noLinks.includes((error as NodeJS.ErrnoException).code)) throw error;
    await link(blob, at).catch(() => copyFile(blob, at));
  }
}

/** Size of a file, links followed; null where none is. */
export async function sizeOf(path: string): Promise<number | null> {
  const info = await stat(path).catch(() => null);
  return info?.isFile() === true ? info.size : null;
}

/** A name for what is being downloaded, of this process alone, as huggingface_hub has it. */
export function partialName(blob: string): string {
  return `${blob}.${randomBytes(4).toString('hex')}.incomplete`;
}
