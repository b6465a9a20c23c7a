import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readlink, rename, rm, rmdir, symlink, unlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import { syncFolder } from '../atomic.js';
import { errnoCode, fileError } from '../errors.js';
import { readChange, removeChange, type Change } from './change.js';
import { exchangePaths } from './native-exchange.js';
import { foreignPaths, isFileBelow, parentsOf } from './owned.js';
import { besidePath, insidePath, type OutputPlace } from './place.js';

/** Where the note about an exchange lies. */
export function exchangeNote(folder: string): string {
  return besidePath(folder, 'change');
}

/** Whether a change of an output was begun and not finished. */
export async function isUnsettled({ folder }: OutputPlace): Promise<boolean> {
  const notes = [exchangeNote(folder), insidePath(folder, 'change')];
  const found = await Promise.all(notes.map((note) => isThere(note)));
  return found.includes(true);
}

/**
 * Finishes or undoes what a process began that was killed while it put a new output in the place of
 * an old one. The lock of the place must be held. Afterwards a whole output is there, the old or
 * the new one, and everything else that was in the folder.
 */
export async function settle({ folder }: OutputPlace): Promise<void> {
  try {
    const exchange = await readChange(exchangeNote(folder));
    if (exchange?.kind === 'exchange') await settleExchange(folder, exchange);
    const files = await readChange(insidePath(folder, 'change'));
    if (files?.kind === 'files') await settleFiles(folder, files);
    for (const note of [exchangeNote(folder), insidePath(folder, 'change')])
      await removeChange(note);
    for (const staged of [besidePath(folder, 'new'), insidePath(folder, 'new')])
      await rm(staged, { recursive: true, force: true });
  } catch (error) {
    throw fileError(error, folder);
  }
}

/**
 * Puts links into the new folder that lead to what else is in the old one. They hold from the
 * moment on at which the folders have changed places.
 */
export async function linkForeign(
  folder: string,
  { staged, foreign }: Pick<Change, 'staged' | 'foreign'>,
): Promise<void> {
  const newFolder = join(dirname(folder), staged);
  for (const path of foreign) {
    await mkdir(dirname(join(newFolder, path)), { recursive: true });
    await symlink(linkTarget(folder, staged, path), join(newFolder, path));
  }
}

/** What follows the exchange, or undoes what came before one that did not happen. */
export async function settleExchange(folder: string, change: Change): Promise<void> {
  const aside = join(dirname(folder), change.staged);
  for (const path of change.foreign) await bringBack(folder, change, path);
  if (await isThere(aside)) {
    const ours = [...change.owned, ...change.written];
    await bringLatecomers(folder, change, ours);
    await removeFiles(aside, ours);
    await rmdir(aside).catch((error: unknown) => keepAside(folder, aside, error));
  }
  await removeChange(exchangeNote(folder));
  await syncFolder(dirname(folder));
}

/** Moves every new file into the folder and removes the old ones that have no successor. */
export async function settleFiles(folder: string, change: Change): Promise<void> {
  const staged = join(folder, change.staged);
  for (const path of [...change.written].sort(byUse)) {
    if (!(await isThere(join(staged, path)))) continue;
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await rename(join(staged, path), join(folder, path));
  }
  const written = new Set(change.written);
  await removeFiles(
    folder,
    change.owned.filter((path) => !written.has(path)),
  );
  for (const path of new Set(change.written.flatMap((file) => [...parentsOf(file), ''])))
    await syncFolder(join(folder, path));
  await rm(staged, { recursive: true, force: true });
  await removeChange(insidePath(folder, 'change'));
  await syncFolder(folder);
}

/**
 * What a reader opens first comes last and together: weights and their config in the folder itself
 * do not go together for no longer than one rename takes.
 */
function byUse(a: string, b: string): number {
  const rank = (path: string): number =>
    path.includes('/') ? 0 : path.endsWith('.safetensors') ? 2 : /config\.json$/.test(path) ? 3 : 1;
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

/** Removes regular files, and folders that held them and are empty now. */
async function removeFiles(folder: string, paths: readonly string[]): Promise<void> {
  for (const path of paths)
    if (await isFileBelow(folder, path)) await rm(join(folder, path), { force: true });
  const folders = [...new Set(paths.flatMap(parentsOf))].sort((a, b) => b.length - a.length);
  for (const path of folders) await rmdir(join(folder, path)).catch(ignoreLeft);
}

/** Where the folder has but the link to it, the thing itself takes the link's place. */
async function bringBack(folder: string, { staged }: Change, path: string): Promise<void> {
  const [link, real] = [join(folder, path), join(dirname(folder), staged, path)];
  const target = linkTarget(folder, staged, path);
  if (await isLinkTo(link, target)) {
    const isRealThere = (await isThere(real)) && !(await isLinkTo(real, target));
    if (!isRealThere) await unlink(link);
    else if ((await exchangePaths(link, real)) !== null) {
      await unlink(link);
      await rename(real, link);
    }
  }
  if (await isLinkTo(real, target)) await unlink(real);
}

/** What someone else put into the old folder while it was replaced. */
async function bringLatecomers(
  folder: string,
  { staged }: Change,
  ours: readonly string[],
): Promise<void> {
  const aside = join(dirname(folder), staged);
  for (const path of await foreignPaths(aside, ours, [])) {
    if (await isThere(join(folder, path))) continue;
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await rename(join(aside, path), join(folder, path));
  }
}

function linkTarget(folder: string, staged: string, path: string): string {
  return relative(dirname(join(folder, path)), join(dirname(folder), staged, path));
}

async function isLinkTo(path: string, target: string): Promise<boolean> {
  return (await readlink(path).catch(() => null)) === target;
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: unknown) => {
      if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) return false;
      throw error;
    },
  );
}

/** What could not come back, since its name is taken by now, stays beside the output. */
async function keepAside(folder: string, aside: string, error: unknown): Promise<void> {
  ignoreLeft(error);
  await rename(aside, besidePath(folder, `kept.${randomBytes(6).toString('hex')}`));
}

/** A folder that holds something else stays, and one that is gone is gone. */
function ignoreLeft(error: unknown): void {
  if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) throw error;
}
