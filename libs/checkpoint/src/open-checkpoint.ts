import { join } from 'node:path';

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
import { readShardIndex, type ShardIndex } from './shard-index.js';

export const configFileName = 'config.json';

/**
 * Opens a folder with one file of weights, or with shards and their index, as transformers or
 * diffusers call them: a model, or one component of a diffusion model.
 * @throws CheckpointError before any weight is read: missing or malformed files, an index that
 * disagrees with its shards.
 */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  return openShards(folder);
}

export async function openShards(folder: string): Promise<ShardedCheckpoint> {
  const index = await readShardIndex(folder);
  const configPath = join(folder, configFileName);
  const configBytes = await readJsonBytes(configPath, 'CHECKPOINT_INVALID_CONFIG');
  const config = parseJsonObject(configBytes, configPath, 'CHECKPOINT_INVALID_CONFIG');
  const { indexFile } = index;
  return openFiles(folder, index.files, (files) => {
    const tensors = locateTensors(folder, index, files);
    return new StoredCheckpoint({ folder, tensors, config, files, indexFile, configBytes });
  });
}

/** Opens files of a folder, and closes them again where `use` fails. */
export async function openFiles<T>(
  folder: string,
  names: readonly string[],
  use: (files: ReadonlyMap<string, ReleasableSafetensorsFile>) => T | Promise<T>,
): Promise<T> {
  const files = new Map<string, ReleasableSafetensorsFile>();
  try {
    for (const name of names) {
      const file = await openReleasable(join(folder, name));
      files.set(name, file);
      await file.release();
    }
    return await use(files);
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

function locateTensors(
  folder: string,
  { indexFile, weightMap }: ShardIndex,
  files: ReadonlyMap<string, ReleasableSafetensorsFile>,
): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  for (const [file, { tensors: inFile }] of files) {
    for (const [name, { dtype, shape }] of inFile) {
      const mapped = weightMap ? weightMap.get(name) : file;
      if (mapped !== file) {
        const where = mapped === undefined ? 'does not name it' : `maps it to ${mapped}`;
        throw new CheckpointError(
          'CHECKPOINT_INVALID_INDEX',
          `${folder}: ${file} holds ${quoted(name)}, but ${indexFile} ${where}`,
        );
      }
      tensors.set(name, { dtype, shape, file });
    }
  }
  for (const [name, file] of weightMap ?? []) {
    if (!tensors.has(name)) {
      throw new CheckpointError(
        'CHECKPOINT_INVALID_INDEX',
        `${folder}: ${indexFile} maps ${quoted(name)} to ${file}, which does not hold it`,
      );
    }
  }
  return tensors;
}
