import { basename, join } from 'node:path';

import {
  closeAll,
  StoredCheckpoint,
  type Checkpoint,
  type ShardedCheckpoint,
  type StoredTensor,
} from './checkpoint.js';
import { CheckpointError, quoted } from './errors.js';
import { parseJsonObject, readJsonBytes } from './json-file.js';
import { openReleasable, type ReleasableSafetensorsFile } from './safetensors-file.js';
import { readShardIndex, type OpenOptions, type ShardIndex } from './shard-index.js';

export const configFileName = 'config.json';

/**
 * Opens a folder with one file of weights, or with shards and their index, as transformers or
 * diffusers call them: a model, or one component of a diffusion model.
 * @throws CheckpointError before any weight is read: missing or malformed files, an index that
 * disagrees with its shards.
 */
export async function openCheckpoint(
  folder: string,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  return openShards(folder, options);
}

export async function openShards(
  folder: string,
  { signal }: OpenOptions = {},
): Promise<ShardedCheckpoint> {
  const index = await readShardIndex(folder, { signal });
  const configPath = join(folder, configFileName);
  const configBytes = await readJsonBytes(configPath, 'CHECKPOINT_INVALID_CONFIG');
  const config = parseJsonObject(configBytes, configPath, 'CHECKPOINT_INVALID_CONFIG');
  const { indexFile } = index;
  return openIndexed(folder, index, {
    signal,
    use: (files) => {
      const tensors = locateTensors(files);
      return new StoredCheckpoint({ folder, tensors, config, files, indexFile, configBytes });
    },
  });
}

/**
 * Opens the files of an index, each held against it before the next is opened, and closes them
 * again where `use` fails.
 * @throws CheckpointError for what the index and its files say differently
 */
export async function openIndexed<T>(
  folder: string,
  index: ShardIndex,
  { signal, use }: OpenOptions & Pick<FileUse<T>, 'use'>,
): Promise<T> {
  return openFiles(folder, index.files, {
    use: (files) => {
      assertHeld(folder, index, files);
      return use(files);
    },
    check: (file) => {
      signal?.throwIfAborted();
      assertIndexed(folder, index, file);
    },
  });
}

/** What is done with the files of a folder. */
interface FileUse<T> {
  readonly use: (files: ReadonlyMap<string, ReleasableSafetensorsFile>) => T | Promise<T>;
  /** Looks at each before the next is opened, so that not all of what is refused is read. */
  readonly check?: (file: ReleasableSafetensorsFile) => void;
}

/** Opens files of a folder, and closes them again where `use` fails. */
export async function openFiles<T>(
  folder: string,
  names: readonly string[],
  { use, check }: FileUse<T>,
): Promise<T> {
  const files = new Map<string, ReleasableSafetensorsFile>();
  try {
    for (const name of names) {
      const file = await openReleasable(join(folder, name));
      files.set(name, file);
      await file.release();
      check?.(file);
    }
    return await use(files);
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

/** @throws CheckpointError for a tensor that the index does not map to the file that holds it */
function assertIndexed(
  folder: string,
  { indexFile, weightMap }: ShardIndex,
  { path, tensors }: ReleasableSafetensorsFile,
): void {
  if (!weightMap) return;
  const file = basename(path);
  for (const name of tensors.keys()) {
    const mapped = weightMap.get(name);
    if (mapped === file) continue;
    const where = mapped === undefined ? 'does not name it' : `maps it to ${quoted(mapped)}`;
    throw new CheckpointError(
      'CHECKPOINT_INVALID_INDEX',
      `${folder}: ${quoted(file)} holds ${quoted(name)}, but ${indexFile} ${where}`,
    );
  }
}

/** @throws CheckpointError for a tensor that the index maps to a file without it */
function assertHeld(
  folder: string,
  { indexFile, weightMap }: ShardIndex,
  files: ReadonlyMap<string, ReleasableSafetensorsFile>,
): void {
  for (const [name, file] of weightMap ?? []) {
    if (files.get(file)?.tensors.has(name) !== true) {
      throw new CheckpointError(
        'CHECKPOINT_INVALID_INDEX',
        `${folder}: ${indexFile} maps ${quoted(name)} to ${quoted(file)}, which does not hold it`,
      );
    }
  }
}

function locateTensors(
  files: ReadonlyMap<string, ReleasableSafetensorsFile>,
): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  for (const [file, { tensors: inFile }] of files)
    for (const [name, { dtype, shape }] of inFile) tensors.set(name, { dtype, shape, file });
  return tensors;
}
