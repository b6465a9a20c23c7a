import { constants } from 'node:fs';
import { access, lstat, mkdir, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import process from 'node:process';

import { CheckpointError, errnoCode, fileError } from '../errors.js';

/** Where a command writes its folder, decided before any work. */
export interface OutputPlace {
  /** As it was given, for messages. */
  readonly out: string;
  /** The real folder, links followed. It may not exist yet. */
  readonly folder: string;
  /**
   * Where hidden entries (lock, progress, what is being written) lie: beside the folder, or inside
   * where it cannot be renamed (a mount point), should not be (the working folder) or nothing can
   * be created beside it.
   */
  readonly side: 'beside' | 'inside';
}

/** What is hidden at a place while work is under way. */
export type HiddenName = 'job' | 'download' | 'lock' | 'change' | 'new';

/** Name of hidden entries inside an output folder: they are never a user's. */
const insidePrefix = '.emloc.';
const maxLinks = 40;
/** What an empty volume has at its root. */
const volumeEntries: ReadonlySet<string> = new Set(['lost+found']);

/**
 * Looks where `out` leads and whether it can be written. Changes nothing.
 * @throws CheckpointError CHECKPOINT_OUTPUT_EXISTS where a file is in the way,
 * CHECKPOINT_OUTPUT_UNWRITABLE
 */
export async function findPlace(out: string): Promise<OutputPlace> {
  const place = await locatePlace(out);
  await assertWritable(place);
  return place;
}

/** As `findPlace`, also where nothing may be written. */
export async function locatePlace(out: string): Promise<OutputPlace> {
  const folder = await followLinks(out);
  const info = await lstat(folder).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) return null;
    throw fileError(error, out);
  });
  const isInside =
    info?.isDirectory() === true &&
    (isWorkingFolder(folder) ||
      (await isMountPoint(folder)) ||
      !(await isWritable(dirname(folder))));
  return { out, folder, side: isInside ? 'inside' : 'beside' };
}

/** Creates the folder that the hidden entries of a place lie in. */
export async function createParent({ out, folder, side }: OutputPlace): Promise<void> {
  if (side === 'inside') return;
  await mkdir(dirname(folder), { recursive: true }).catch((error: unknown) => {
    throw fileError(error, out);
  });
}

export function hiddenPath({ folder, side }: OutputPlace, name: HiddenName): string {
  return side === 'beside' ? besidePath(folder, name) : insidePath(folder, name);
}

export function besidePath(folder: string, name: string): string {
  return join(dirname(folder), `.${basename(folder)}.${name}`);
}

export function insidePath(folder: string, name: HiddenName): string {
  return join(folder, `${insidePrefix}${name}`);
}

/** Names in the folder but those that this program hides; none where it is not there. */
export async function entriesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT') return [];
    throw fileError(error, folder);
  });
  return names.filter((name) => !isOurHidden(name) && !volumeEntries.has(name));
}

export function isOurHidden(name: string): boolean {
  return name.startsWith(insidePrefix);
}

/**
 * Whether a file system is mounted at the folder, or (`below`) somewhere in it. Where the system
 * does not list its mounts, by the device of the folder and of its parent.
 */
export async function isMountPoint(folder: string, { below = false } = {}): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => null);
  if (table === null) {
    const [own, parent] = await Promise.all([lstat(folder), lstat(dirname(folder))]);
    return own.dev !== parent.dev || dirname(folder) === folder;
  }
  const points = table.split('\n').map((line) => unescapeOctal(line.split(' ').at(4) ?? ''));
  const prefix = folder.endsWith(sep) ? folder : folder + sep;
  return points.some((point) => point === folder || (below && point.startsWith(prefix)));
}

/** Or one above it: who works there would be left in a folder that is gone. */
function isWorkingFolder(folder: string): boolean {
  const prefix = folder.endsWith(sep) ? folder : folder + sep;
  return `${process.cwd()}${sep}`.startsWith(prefix);
}

/** Spaces, tabs and the like are written as `\040` in mountinfo, proc(5). */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The path without links; what does not exist yet, also at the end of a link, is kept. */
export async function followLinks(out: string): Promise<string> {
  let path = resolve(out);
  for (let links = 0; links < maxLinks; links += 1) {
    const real = await realpath(path).catch((error: unknown) => {
      if (errnoCode(error) === 'ENOENT') return null;
      throw errnoCode(error) === 'ENOTDIR'
        ? new CheckpointError('CHECKPOINT_OUTPUT_EXISTS', `${out}: a part of the path is a file`, {
            cause: error,
          })
        : fileError(error, out);
    });
    if (real !== null) return real;
    const parent = dirname(path) === path ? path : await followLinks(dirname(path));
    path = join(parent, basename(path));
    const target = await readlink(path).catch(() => null);
    if (target === null) return path;
    path = resolve(parent, target);
  }
  throw new CheckpointError('CHECKPOINT_OUTPUT_UNWRITABLE', `${out}: too many links`);
}

async function assertWritable({ out, folder, side }: OutputPlace): Promise<void> {
  const info = await lstat(folder).catch(() => null);
  if (info && !info.isDirectory())
    throw new CheckpointError('CHECKPOINT_OUTPUT_EXISTS', `${out}: is a file`);
  const needed = [...(info ? [folder] : []), ...(side === 'beside' ? [dirname(folder)] : [])];
  for (const path of needed) {
    const existing = await existingAncestor(path);
    if (!(await isWritable(existing)))
      throw new CheckpointError(
        'CHECKPOINT_OUTPUT_UNWRITABLE',
        `${out}: nothing can be written in ${existing}${await reasonOf(existing)}`,
      );
  }
}

async function existingAncestor(path: string): Promise<string> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  return isThere || dirname(path) === path ? path : existingAncestor(dirname(path));
}

function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function reasonOf(folder: string): Promise<string> {
  const code = await access(folder, constants.W_OK).then(
    () => null,
    (error: unknown) => errnoCode(error) ?? null,
  );
  return code === 'EROFS' ? ', its file system is read-only' : '';
}
