import { readdir } from 'node:fs/promises';
import { join, posix, sep } from 'node:path';

import { sizeOf, type RepoCache } from './cache-layout.js';
import { cut, HubError } from './errors.js';
import type { HubName } from './hub-name.js';
import { neededFiles, shardPaths, shardsOf } from './needed-files.js';
import { neededPaths } from './needed-paths.js';
import { readText } from './read-text.js';
import type { RepoFile } from './repo-file.js';
import { readTree } from './tree-cache.js';

/** What the cache has of a model. */
export interface CachedSnapshot {
  readonly commit: string;
  /** Paths of needed files that are not there, or not whole. */
  readonly missing: readonly string[];
  /** The listing of the commit, where it was kept: only with it is nothing overlooked. */
  readonly tree: readonly RepoFile[] | null;
}

/**
 * What the cache has of a model at a revision, without asking anybody; null where the revision was
 * never looked up.
 * @throws HubError HUB_UNSUPPORTED_REPOSITORY where the commit is known to have no usable weights
 */
export async function findCached(
  cache: RepoCache,
  hubName: HubName,
): Promise<CachedSnapshot | null> {
  const commit = await cache.knownCommit(hubName);
  if (commit === null) return null;
  const tree = await readTree(cache.treePath(commit));
  const missing = tree
    ? await missingOfTree(cache, { name: hubName.name, commit, tree })
    : await missingOfFolder(cache, { name: hubName.name, commit });
  return { commit, tree, missing };
}

async function missingOfTree(
  cache: RepoCache,
  { name, commit, tree }: { name: string; commit: string; tree: readonly RepoFile[] },
): Promise<string[]> {
  const { small, weights, indexes } = neededFiles(name, tree);
  const missing = await missingFiles(cache, commit, [...small, ...weights, ...indexes]);
  const shards: RepoFile[] = [];
  for (const { path } of indexes) {
    if (missing.includes(path)) continue;
    const text = await readText(cache.pathIn(commit, path));
    shards.push(...shardsOf(name, { path, text }, tree));
  }
  return [...missing, ...(await missingFiles(cache, commit, shards))];
}

async function missingFiles(
  cache: RepoCache,
  commit: string,
  files: readonly RepoFile[],
): Promise<string[]> {
  const missing: string[] = [];
  for (const file of files) if (!(await cache.has(commit, file))) missing.push(file.path);
  return missing;
}

/** Without a listing: what no model can be without. */
async function missingOfFolder(
  cache: RepoCache,
  { name, commit }: { name: string; commit: string },
): Promise<string[]> {
  const there = await filesIn(cache.snapshotFolder(commit));
  const { weights, lacks } = neededPaths(there);
  const shards: string[] = [];
  for (const { path } of weights.filter(({ isIndex }) => isIndex)) {
    const text = await readText(cache.pathIn(commit, path));
    shards.push(...shardPaths(name, { path, text }));
  }
  return [...lacks, ...shards.filter((shard) => !there.includes(shard))];
}

/** Paths of the files of a folder, with slashes; a link that leads nowhere is none. */
async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => [] as string[]);
  const found: string[] = [];
  for (const name of names)
    if ((await sizeOf(join(folder, name))) !== null) found.push(name.split(sep).join(posix.sep));
  return found;
}

const mostNamed = 5;

/** @throws HubError HUB_NOT_CACHED unless the cache has all that is needed */
export function assertCached(
  found: CachedSnapshot | null,
  { model, where, why }: { model: string; where: string; why: string },
): CachedSnapshot {
  if (found?.missing.length === 0) return found;
  throw new HubError('HUB_NOT_CACHED', `${model}${lack(found, model)} in ${where}, and ${why}`);
}

function lack(found: CachedSnapshot | null, model: string): string {
  if (found === null) return ' is not';
  const commit = model.endsWith(found.commit) ? '' : ` (commit ${found.commit})`;
  const more = found.missing.length - mostNamed;
  return `${commit} lacks ${found.missing.slice(0, mostNamed).map(cut).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
