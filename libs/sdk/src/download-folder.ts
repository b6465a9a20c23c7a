import { lstat, mkdir, readdir, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import type { PlacedArtifact } from './artifact-paths.js';
import { downloadToFile, type OnTransfer } from './download.js';
import { EmlocError, fileFailed } from './errors.js';
import type { Resumption } from './resumption.js';
import type { JobCalls } from './watch.js';

export interface FolderSource {
  readonly calls: JobCalls;
  readonly files: readonly PlacedArtifact[];
  readonly signal: AbortSignal;
  readonly resumption: Resumption;
}

export interface FolderTarget {
  readonly folder: string;
  /** Replace a folder that holds an adapter or a checkpoint. */
  readonly overwrite: boolean;
  readonly onProgress?: OnTransfer;
}

/**
 * Writes files into a folder that is there afterwards whole or not at all. `FOLDER.part` holds what
 * has arrived and is taken up by the next call, also of another process.
 */
export async function downloadToFolder(
  source: FolderSource,
  { folder: given, overwrite, onProgress }: FolderTarget,
): Promise<void> {
  // Of a link, the folder that it leads to: the link stays.
  const folder = await realpath(given).catch(() => resolve(given));
  await assertFolderFree(folder, { overwrite });
  const staging = `${folder}.part`;
  await prepareStaging(staging, source.files);
  const totalBytes = source.files.reduce((sum, { artifact }) => sum + artifact.sizeBytes, 0);
  let before = 0;
  for (const { artifact, segments } of source.files) {
    const start = before;
    await downloadToFile(
      { ...source, artifact },
      {
        file: join(staging, ...segments),
        overwrite: true,
        onProgress: (done) => onProgress?.(start + done, totalBytes),
      },
    );
    before += artifact.sizeBytes;
  }
  await moveInto(folder, staging);
}

/** Files of which a folder has one when it is an adapter's or a checkpoint's. */
const replaceable = [
  'adapter_config.json',
  'pytorch_lora_weights.safetensors',
  'config.json',
  'model_index.json',
];

/**
 * That a result may be written to a folder: it is not there, empty, or holds an adapter or a
 * checkpoint that may be replaced.
 * @throws EmlocError SDK_OUTPUT_EXISTS
 */
async function assertFolderFree(folder: string, { overwrite = false } = {}): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[];
    throw new EmlocError(
      'SDK_OUTPUT_EXISTS',
      `${folder} cannot be the output folder: ${error.message}`,
      { cause: error },
    );
  });
  if (entries.length === 0 || (overwrite && entries.some((name) => replaceable.includes(name))))
    return;
  const hint = overwrite
    ? 'holds neither an adapter nor a checkpoint, so it is not replaced'
    : 'choose another, or allow it to be overwritten';
  throw new EmlocError('SDK_OUTPUT_EXISTS', `${folder} is not empty: ${hint}`);
}

/**
 * Leaves nothing in the staging folder but files that belong to it, whole or in part: no others and
 * no symbolic links.
 */
async function prepareStaging(staging: string, files: readonly PlacedArtifact[]): Promise<void> {
  const paths = files.map(({ segments }) => segments.join('/'));
  const expectedFiles = new Set(paths.flatMap((path) => [path, `${path}.part`]));
  const expectedFolders = new Set(
    files.flatMap(({ segments }) =>
      segments.slice(0, -1).map((_, index) => segments.slice(0, index + 1).join('/')),
    ),
  );
  try {
    if (!(await lstat(staging).catch(() => null))?.isDirectory())
      await rm(staging, { force: true });
    await mkdir(staging, { recursive: true });
    await clean(staging, '', { expectedFiles, expectedFolders });
  } catch (cause) {
    throw fileFailed(`cannot prepare ${staging}`, cause);
  }
}

async function clean(
  staging: string,
  below: string,
  expected: { expectedFiles: ReadonlySet<string>; expectedFolders: ReadonlySet<string> },
): Promise<void> {
  for (const entry of await readdir(join(staging, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory() && expected.expectedFolders.has(path))
      await clean(staging, path, expected);
    else if (!(entry.isFile() && expected.expectedFiles.has(path)))
      await rm(join(staging, path), { recursive: true, force: true });
  }
}

/** Puts the new folder in the place of the old one, which comes back when that fails. */
async function moveInto(folder: string, staging: string): Promise<void> {
  const aside = `${folder}.replaced`;
  try {
    await mkdir(dirname(folder), { recursive: true });
    await rm(aside, { recursive: true, force: true });
    const hadOld = await rename(folder, aside).then(() => true, ignoreMissing);
    await rename(staging, folder).catch(async (error: unknown) => {
      if (hadOld) await rename(aside, folder);
      throw error;
    });
    await rm(aside, { recursive: true, force: true });
  } catch (cause) {
    throw fileFailed(`cannot create ${folder}`, cause);
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): boolean {
  if (error.code !== 'ENOENT') throw error;
  return false;
}
