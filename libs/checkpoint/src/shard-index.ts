import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { CheckpointError, fileError, quoted } from './errors.js';
import { readJsonObject } from './json-file.js';

const singleFileName = 'model.safetensors';
export const indexFileName = 'model.safetensors.index.json';

/** Which files hold a checkpoint. */
export interface ShardIndex {
  /** Names in the folder, sorted. */
  readonly files: readonly string[];
  /** File by tensor name; null for a checkpoint of one file without an index. */
  readonly weightMap: ReadonlyMap<string, string> | null;
}

/**
 * Finds the safetensors files of a Hugging Face folder.
 * @throws CheckpointError when there are none, the index is malformed or names files outside the
 * folder, or both layouts are there.
 */
export async function readShardIndex(folder: string): Promise<ShardIndex> {
  const names = new Set(await listFolder(folder));
  const isSingle = names.has(singleFileName);
  if (!names.has(indexFileName)) {
    if (!isSingle) throw noWeights(folder, [...names]);
    return { files: [singleFileName], weightMap: null };
  }
  const index = await readWeightMap(folder);
  if (isSingle && !index.files.includes(singleFileName)) {
    throw new CheckpointError(
      'CHECKPOINT_INVALID_INDEX',
      `${folder} has both ${singleFileName} and an index of other files: remove the one that is not meant`,
    );
  }
  return index;
}

async function readWeightMap(folder: string): Promise<ShardIndex> {
  const path = join(folder, indexFileName);
  const { weight_map: value } = await readJsonObject(path, 'CHECKPOINT_INVALID_INDEX');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CheckpointError('CHECKPOINT_INVALID_INDEX', `${path} has no weight_map`);
  }
  const weightMap = new Map(
    Object.entries(value).map(([tensor, file]) => [tensor, shardName(path, tensor, file)]),
  );
  if (weightMap.size === 0)
    throw new CheckpointError('CHECKPOINT_INVALID_INDEX', `${path}: weight_map is empty`);
  const files = [...new Set(weightMap.values())].sort();
  for (const file of files) await assertExists(folder, file);
  return { files, weightMap };
}

function shardName(path: string, tensor: string, file: unknown): string {
  const isPlainName =
    typeof file === 'string' && /^[^/\\\0:]+\.safetensors$/.test(file) && !file.startsWith('.');
  if (!isPlainName) {
    throw new CheckpointError(
      'CHECKPOINT_INVALID_INDEX',
      `${path}: ${quoted(tensor)} is mapped to ${quoted(file)}, which is no safetensors file of this folder`,
    );
  }
  return file;
}

async function assertExists(folder: string, file: string): Promise<void> {
  try {
    await access(join(folder, file));
  } catch (error) {
    throw new CheckpointError(
      'CHECKPOINT_NOT_FOUND',
      `shard ${file} named in ${indexFileName} is missing from ${folder}`,
      { cause: error },
    );
  }
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    throw fileError(error, folder);
  }
}

function noWeights(folder: string, names: readonly string[]): CheckpointError {
  const some = (pattern: RegExp) => names.filter((name) => pattern.test(name)).sort()[0];
  const refuse = (name: string, advice: string) =>
    new CheckpointError(
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      `${folder} has ${quoted(name)} but no ${singleFileName}: ${advice}`,
    );
  const adapter = some(/^adapter_(config\.json|model\.)/);
  if (adapter) return refuse(adapter, 'it is an adapter, give the base model here');
  const shard = some(/\.safetensors$/);
  if (shard) return refuse(shard, `several files need ${indexFileName}, which is missing`);
  const pickled = some(/\.(bin|pt|pth|ckpt)$/);
  if (pickled)
    return refuse(
      pickled,
      "pickled weights can run code and are not read; save the model again with transformers' save_pretrained",
    );
  const gguf = some(/\.gguf$/);
  if (gguf)
    return refuse(gguf, 'GGUF files are for inference; use the safetensors release of the model');
  return new CheckpointError(
    'CHECKPOINT_NOT_FOUND',
    `${folder} has neither ${singleFileName} nor ${indexFileName}`,
  );
}
