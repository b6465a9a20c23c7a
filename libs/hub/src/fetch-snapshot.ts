import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatBytes } from '@emloc/device';

import { sizeOf, type RepoCache } from './cache-layout.js';
import type { CachedSnapshot } from './cached-snapshot.js';
import { downloadBlob } from './download-blob.js';
import { HubError } from './errors.js';
import type { HubName } from './hub-name.js';
import { commitOf, listRepository, type Asking } from './listing.js';
import { neededFiles, shardsOf } from './needed-files.js';
import { leftPartials } from './partial-file.js';
import { readText } from './read-text.js';
import { blobName, type RepoFile } from './repo-file.js';
import { readTree, writeTree } from './tree-cache.js';

/** What is told of a download. */
export interface FetchObserver {
  /** Bytes that are there, of all that were missing at the start. */
  onProgress(doneBytes: number, totalBytes: number): void;
  onNotice(message: string): void;
}

interface Fetching extends Asking, FetchObserver {
  readonly cache: RepoCache;
  readonly hubName: HubName;
  readonly cacheFolder: string;
}

/** Files that are downloaded at the same time. */
const parallelDownloads = 4;

/** Tries of the first question. */
const firstAttempts = 3;

/**
 * Brings all that is needed of a model into the cache: the commit of the revision is looked up, and
 * what is there already is not asked for again. Where the hub cannot be reached, what the cache has
 * will do, if it is whole.
 * @throws HubError
 */
export async function fetchSnapshot(
  fetching: Fetching,
  cached: CachedSnapshot | null,
): Promise<string> {
  const { cache, hubName } = fetching;
  const isWhole = cached?.missing.length === 0;
  // A listing of a commit says for ever what belongs to it.
  if (isWhole && cached.tree && cached.commit === hubName.revision) return cached.commit;
  try {
    const commit = await latestCommit(fetching, { isPatient: !isWhole });
    await completeSnapshot(commit, fetching);
    await cache.rememberCommit(hubName, commit).catch(ignoreReadOnly);
    return commit;
  } catch (error) {
    if (!isWhole || !isAway(error)) throw error;
    fetching.onNotice(
      `${error.message}; commit ${cached.commit} of ${hubName.name} in the cache is used`,
    );
    return cached.commit;
  }
}

/** A cache that has all files and cannot be written is as good as any. */
function ignoreReadOnly(): void {}

function isAway(error: unknown): error is HubError {
  return error instanceof HubError && error.code === 'HUB_UNREACHABLE';
}

/**
 * @param isPatient whether it is worth waiting for a hub that is away; not for long, since nothing
 * is lost yet
 */
function latestCommit(fetching: Fetching, { isPatient }: { isPatient: boolean }): Promise<string> {
  const { hubName, policy } = fetching;
  const attempts = isPatient ? Math.min(firstAttempts, policy.attempts) : 1;
  return commitOf(hubName, { ...fetching, policy: { ...policy, attempts } });
}

async function completeSnapshot(commit: string, fetching: Fetching): Promise<void> {
  const { cache, hubName } = fetching;
  const tree = await treeOf(commit, fetching);
  const { small, weights, indexes } = neededFiles(hubName.name, tree);
  await completeFiles(indexes, commit, { ...fetching, onProgress: () => undefined });
  const shards = await Promise.all(
    indexes.map(async ({ path }) => {
      const text = await readText(cache.pathIn(commit, path));
      return shardsOf(hubName.name, { path, text }, tree);
    }),
  );
  await completeFiles([...small, ...weights, ...shards.flat()], commit, fetching);
}

async function treeOf(commit: string, fetching: Fetching): Promise<readonly RepoFile[]> {
  const { cache, hubName } = fetching;
  const kept = await readTree(cache.treePath(commit));
  if (kept) return kept;
  const tree = await listRepository({ name: hubName.name, commit }, fetching);
  neededFiles(hubName.name, tree);
  await writeTree(cache.treePath(commit), tree).catch(ignoreReadOnly);
  return tree;
}

async function completeFiles(
  files: readonly RepoFile[],
  commit: string,
  fetching: Fetching,
): Promise<void> {
  const { cache, hubName } = fetching;
  const absent: RepoFile[] = [];
  for (const file of files) if (!(await cache.has(commit, file))) absent.push(file);
  if (absent.length === 0) return;
  const totalBytes = await assertDiskSpace(absent, fetching);
  let doneBytes = 0;
  const onBytes = (bytes: number): void => {
    doneBytes += bytes;
    fetching.onProgress(doneBytes, totalBytes);
  };
  await inParallel(absent, fetching.signal, async (file, signal) => {
    await downloadBlob(file, { ...fetching, name: hubName.name, commit, signal, onBytes });
    await cache.place(commit, file);
  });
}

/**
 * @returns bytes of all files, each contents once
 * @throws HubError HUB_DISK_FULL before anything is downloaded that would not fit
 */
async function assertDiskSpace(
  files: readonly RepoFile[],
  { cache, cacheFolder, hubName }: Fetching,
): Promise<number> {
  let missingBytes = 0;
  for (const file of files) {
    if ((await sizeOf(cache.blobPath(file))) === file.sizeBytes) continue;
    const [left] = await leftPartials(cache.blobsFolder, file, { isExclusive: true });
    missingBytes += file.sizeBytes - (left?.sizeBytes ?? 0);
  }
  const freeBytes = await freeBytesAt(cacheFolder);
  if (missingBytes > freeBytes)
    throw new HubError(
      'HUB_DISK_FULL',
      `${hubName.name} needs ${formatBytes(missingBytes)} more in the hub cache, ${cacheFolder} has ${formatBytes(freeBytes)} free; HF_HUB_CACHE names another folder`,
    );
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Of the folder, or of what it will be made in. */
async function freeBytesAt(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder) throw error;
    return freeBytesAt(parent);
  }
}

/** Works on some files at a time; the first failure stops the others, which have ended by then. */
async function inParallel(
  files: readonly RepoFile[],
  signal: AbortSignal,
  work: (file: RepoFile, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  // Two files with the same contents are one download: whoever comes second finds it.
  const queue = [...files].sort((a, b) => (blobName(a) < blobName(b) ? -1 : 1));
  const errors: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file && !both.aborted; file = queue.shift()) {
      try {
        await work(file, both);
      } catch (error) {
        errors.push(error);
        failed.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: parallelDownloads }, worker));
  signal.throwIfAborted();
  if (errors.length > 0) throw errors[0];
}
