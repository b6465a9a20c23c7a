import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { readRegularFile } from '@emloc/untrusted';

import { CheckpointError, errnoCode, fileError, quoted } from '../errors.js';
import { recordFileName } from './output-files.js';
import { entriesOf, isOurHidden, type OutputPlace } from './place.js';

/** What adapters had whose record does not say it. */
const filesOfFirstAdapters = [
  'adapter_config.json',
  'adapter_model.safetensors',
  recordFileName,
  'uncorrected/adapter_config.json',
  'uncorrected/adapter_model.safetensors',
];
const maxRecordBytes = 100_000_000;
/** What would make one part of a path more than a name. */
const forbidden = process.platform === 'win32' ? /[\\\0:]/ : /\0/;

/** What a command expects where it may overwrite. */
export interface OutputKind {
  /** e.g. `adapter` */
  readonly name: string;
  /** Files of which every output of the kind has one. */
  readonly marks: readonly string[];
}

/**
 * Whether a folder may be written, `written` being the paths of what will be.
 * @throws CheckpointError CHECKPOINT_OUTPUT_EXISTS where something is there that may not be
 * replaced: anything without `overwrite`, and what this program did not write in any case
 */
export async function assertReplaceable(
  { out, folder }: OutputPlace,
  {
    overwrite,
    kind,
    written,
  }: { overwrite: boolean; kind: OutputKind; written: readonly string[] },
): Promise<void> {
  if ((await entriesOf(folder)).length === 0) return;
  const refuse = (reason: string): CheckpointError =>
    new CheckpointError('CHECKPOINT_OUTPUT_EXISTS', `output ${out}: ${reason}`);
  if (!overwrite)
    throw refuse('the folder is not empty; choose another, or allow it to be overwritten');
  const owned = await ownedFiles(folder);
  if (!owned || !kind.marks.some((mark) => owned.includes(mark)))
    throw refuse(
      `the folder is not empty and holds no ${kind.name} whose ${recordFileName} says that it was written here, so it is not replaced`,
    );
  const collision = collisionOf(await foreignPaths(folder, owned, written), written);
  if (collision !== null)
    throw refuse(`${quoted(collision)} is in the way, which was not written by this program`);
}

/**
 * Paths in a folder, with `/`, of what this program wrote there by the folder's own record; null
 * where no record says so.
 */
export async function ownedFiles(folder: string): Promise<readonly string[] | null> {
  try {
    const path = join(folder, recordFileName);
    const text = (await readRegularFile(path, maxRecordBytes)).toString('utf8');
    const { files, job } = JSON.parse(text) as Record<string, unknown>;
    if (files === undefined) return typeof job === 'string' ? filesOfFirstAdapters : null;
    return isPathList(files) ? [...new Set([...files, recordFileName])] : null;
  } catch {
    return null;
  }
}

/** Whether a value out of a file lists paths that stay within a folder. */
export function isPathList(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.every(
      (path) =>
        typeof path === 'string' &&
        !forbidden.test(path) &&
        path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
    )
  );
}

/**
 * What is in a folder beside the files of both lists: entries at the highest level at which nothing
 * of the lists lies below them. Links are never followed.
 */
export async function foreignPaths(
  folder: string,
  owned: readonly string[],
  written: readonly string[],
): Promise<string[]> {
  const ours = new Set(owned);
  const folders = new Set([...owned, ...written].flatMap(parentsOf));
  const found: string[] = [];
  const visit = async (below: string): Promise<void> => {
    for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (below === '' && isOurHidden(entry.name)) continue;
      if (entry.isDirectory() && folders.has(path)) await visit(path);
      else if (!(entry.isFile() && ours.has(path))) found.push(path);
    }
  };
  try {
    await visit('');
  } catch (error) {
    throw fileError(error, folder);
  }
  return found.sort();
}

/** The first foreign path that a written one would replace, or would have to lie below. */
export function collisionOf(foreign: readonly string[], written: readonly string[]): string | null {
  const taken = new Set(written.flatMap((path) => [path, ...parentsOf(path)]));
  return foreign.find((path) => taken.has(path)) ?? null;
}

/** Paths of all regular files under a folder, with `/`, sorted. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .map((path) => path.replaceAll('\\', '/'))
    .sort();
}

/** `a/b` and `a` of `a/b/c`. */
export function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

/** Whether a path is a regular file below real folders. */
export async function isFileBelow(folder: string, path: string): Promise<boolean> {
  try {
    for (const parent of parentsOf(path))
      if (!(await lstat(join(folder, parent))).isDirectory()) return false;
    return (await lstat(join(folder, path))).isFile();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) return false;
    throw fileError(error, join(folder, path));
  }
}
