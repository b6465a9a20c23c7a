import { chmod, chown, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { syncFolder, syncTree, type AtomicOptions } from '../atomic.js';
import { CheckpointError, errnoCode, fileError, quoted } from '../errors.js';
import { removeChange, writeChange, type Change } from './change.js';
import { exchangePaths } from './native-exchange.js';
import { collisionOf, filesUnder, foreignPaths, ownedFiles } from './owned.js';
import {
  createParent,
  entriesOf,
  hiddenPath,
  insidePath,
  isMountPoint,
  isOurHidden,
  type OutputPlace,
} from './place.js';
import {
  exchangeNote,
  isUnsettled,
  linkForeign,
  settle,
  settleExchange,
  settleFiles,
} from './settle.js';

export interface WriteOutputOptions extends AtomicOptions {
  /** Whether an output of this program that is there already is replaced. */
  readonly overwrite?: boolean;
}

/**
 * Fills a hidden folder at the place, syncs it and makes it the output: at any moment the old
 * output is there or the new one, whole, and what else is in the folder stays. Where the folder
 * cannot change places with another, files are moved one by one, which the next `settle` finishes
 * if the process is killed meanwhile. On failure or abort nothing is changed.
 * @throws CheckpointError CHECKPOINT_OUTPUT_EXISTS where something is in the way
 */
export async function writeOutput<T>(
  place: OutputPlace,
  fill: (temporary: string) => Promise<T>,
  { overwrite = false, signal }: WriteOutputOptions = {},
): Promise<T> {
  signal?.throwIfAborted();
  const staged = hiddenPath(place, 'new');
  try {
    await createParent(place);
    await rm(staged, { recursive: true, force: true });
    await mkdir(staged);
    const result = await fill(staged);
    await syncTree(staged);
    signal?.throwIfAborted();
    await put(place, staged, overwrite);
    return result;
  } catch (error) {
    // Once the change is noted the staged folder may hold what was there before. Where it cannot
    // be settled now either, the next start does.
    if (await isUnsettled(place)) await settle(place).catch(() => undefined);
    else await rm(staged, { recursive: true, force: true });
    throw ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errnoCode(error) ?? '')
      ? outputExists(place, 'exists and is not an empty folder', { cause: error })
      : fileError(error, place.out);
  }
}

/**
 * Bytes of each entry that is on disk, beside the new output, while it takes the place of what is
 * there: a note, and links to what is not this program's.
 */
export async function changeFiles(
  { folder }: OutputPlace,
  written: readonly string[],
): Promise<number[]> {
  if ((await entriesOf(folder)).length === 0) return [];
  const owned = (await ownedFiles(folder)) ?? [];
  const foreign = await foreignPaths(folder, owned, written);
  const note = Buffer.byteLength(JSON.stringify([written, owned, foreign]));
  return [note, note, ...foreign.map((path) => 2 * path.length + folder.length)];
}

async function put(place: OutputPlace, staged: string, overwrite: boolean): Promise<void> {
  const { folder, side } = place;
  const isNew = (await entriesOf(folder)).length === 0;
  if (!isNew && !overwrite) throw outputExists(place, 'exists and is not an empty folder');
  if (isNew && side === 'beside') {
    await rename(staged, folder);
    return syncFolder(dirname(folder));
  }
  const owned = (await ownedFiles(folder)) ?? [];
  const written = await filesUnder(staged);
  const foreign = await foreignPaths(folder, owned, written);
  const collision = collisionOf(foreign, written);
  if (collision !== null)
    throw outputExists(
      place,
      `${quoted(collision)} is in the way, which was not written by this program`,
    );
  const change = { written, owned, foreign };
  if (await canExchange(place, staged, foreign)) {
    if (await exchange(place, staged, change)) return;
  }
  await moveFiles(place, staged, change);
}

/** Whether the new folder can take the old one's place without a difference to whoever uses it. */
async function canExchange(
  { folder, side }: OutputPlace,
  staged: string,
  foreign: readonly string[],
): Promise<boolean> {
  if (side === 'inside' || (await isMountPoint(folder, { below: true }))) return false;
  // Names that are not UTF-8 cannot be told apart.
  if (foreign.some((path) => path.includes('\uFFFD'))) return false;
  if ((await hiddenEntries(folder)).length > 0) return false;
  const [old, own] = await Promise.all([stat(folder), stat(staged)]);
  try {
    if (old.uid !== own.uid || old.gid !== own.gid) await chown(staged, old.uid, old.gid);
    await chmod(staged, old.mode & 0o7777);
    return true;
  } catch {
    return false;
  }
}

async function hiddenEntries(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter(isOurHidden);
}

type Contents = Omit<Change, 'kind' | 'staged'>;

/** Resolves to false, with nothing changed, where the file system has no such exchange. */
async function exchange(
  { folder }: OutputPlace,
  staged: string,
  contents: Contents,
): Promise<boolean> {
  const change: Change = { kind: 'exchange', staged: nameOf(staged), ...contents };
  const note = exchangeNote(folder);
  await writeChange(note, change);
  await linkForeign(folder, change);
  await syncFolder(staged);
  if ((await exchangePaths(staged, folder)) !== null) {
    await undoLinks(staged, change);
    await removeChange(note);
    return false;
  }
  await syncFolder(dirname(folder));
  await settleExchange(folder, change);
  return true;
}

async function undoLinks(staged: string, { foreign }: Change): Promise<void> {
  for (const path of foreign) await rm(join(staged, path), { force: true });
}

async function moveFiles(
  { folder }: OutputPlace,
  staged: string,
  contents: Contents,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const inside = insidePath(folder, 'new');
  if (staged !== inside) {
    await rm(inside, { recursive: true, force: true });
    await rename(staged, inside);
  }
  const change: Change = { kind: 'files', staged: nameOf(inside), ...contents };
  await writeChange(insidePath(folder, 'change'), change);
  await settleFiles(folder, change);
}

function nameOf(path: string): string {
  return path.slice(dirname(path).length + 1);
}

function outputExists(
  { out }: OutputPlace,
  reason: string,
  options?: ErrorOptions,
): CheckpointError {
  return new CheckpointError('CHECKPOINT_OUTPUT_EXISTS', `${out} ${reason}`, options);
}
