import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { duplicateKey } from './duplicate-keys.js';
import { CheckpointError, errnoCode, fileError, quoted } from './errors.js';
import { parseJsonObject, readJsonBytes } from './json-file.js';

/** What weight files are called: by transformers, by diffusers. */
const stems = ['model', 'diffusion_pytorch_model'] as const;
/** Copies of the same weights in one dtype, which a loader takes when it is told to. */
const variants = ['fp16', 'bf16', 'fp32'] as const;
/** Three times what the largest models have, with the scales of what is quantised. */
const maxTensors = 500_000;
/** Ten times what the largest models have: each is opened before any weight is read. */
const maxShards = 4096;

/** No file system of those that models lie on has longer ones. */
const maxNameLength = 255;
/** Nor would a terminal show controls, marks of direction and halves of pairs as what they are. */
const plainName = /^[^/\\:\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+\.safetensors$/u;

/** Which files hold a checkpoint. */
export interface ShardIndex {
  /** Names in the folder, sorted. */
  readonly files: readonly string[];
  /** Name of the index in the folder; null for a checkpoint of one file without one. */
  readonly indexFile: string | null;
  /** File by tensor name; null without an index. */
  readonly weightMap: ReadonlyMap<string, string> | null;
}

export interface OpenOptions {
  /** Looked at between files, and between the parts of what one heavy index takes. */
  readonly signal?: AbortSignal;
}

/** Names that one set of weights may have in a folder. */
export interface WeightNames {
  readonly single: string;
  readonly indexes: readonly string[];
}

/**
 * Finds the safetensors files of a folder of transformers or diffusers. A variant such as fp16 is
 * taken where it is the only set of weights.
 * @throws CheckpointError when there are none, the index is malformed or names files outside the
 * folder, or several sets of weights are there; the signal's reason when aborted.
 */
export async function readShardIndex(
  folder: string,
  options: OpenOptions = {},
): Promise<ShardIndex> {
  const names = new Set(await listFolder(folder));
  const there = ({ single, indexes }: WeightNames) =>
    [single, ...indexes].some((name) => names.has(name));
  const plain = stems.map((stem) => weightNames(stem)).filter(there);
  const found = plain.length > 0 || hasPlainShards(names) ? plain : allVariants().filter(there);
  const [weights, ...others] = found;
  if (!weights) throw noWeights(folder, [...names]);
  if (others.length > 0) throw severalWeights(folder, found);
  return readWeights(folder, weights, { names, ...options });
}

function weightNames(stem: string, variant?: string): WeightNames {
  const index = `${stem}.safetensors.index`;
  return variant === undefined
    ? { single: `${stem}.safetensors`, indexes: [`${index}.json`] }
    : {
        single: `${stem}.${variant}.safetensors`,
        indexes: [`${index}.${variant}.json`, `${stem}.safetensors.${variant}.index.json`],
      };
}

function allVariants(): WeightNames[] {
  return stems.flatMap((stem) => variants.map((variant) => weightNames(stem, variant)));
}

/** Shards that an index is missing for: a variant beside them is not all that is there. */
function hasPlainShards(names: Iterable<string>): boolean {
  return [...names].some((name) =>
    /^(model|diffusion_pytorch_model)-\d+-of-\d+\.safetensors$/.test(name),
  );
}

/** Of one set of weights, of whose names some are in the folder. */
export async function readWeights(
  folder: string,
  { single, indexes }: WeightNames,
  { names, signal }: OpenOptions & { readonly names: ReadonlySet<string> },
): Promise<ShardIndex> {
  const [indexFile, second] = indexes.filter((name) => names.has(name));
  if (indexFile === undefined) return { files: [single], indexFile: null, weightMap: null };
  if (second !== undefined) throw bothIndexes(folder, indexFile, second);
  const index = await readWeightMap(folder, indexFile, signal);
  if (names.has(single) && !index.files.includes(single)) {
    throw invalid(
      `${folder} has both ${single} and an index of other files: remove the one that is not meant`,
    );
  }
  return index;
}

async function readWeightMap(
  folder: string,
  indexFile: string,
  signal: AbortSignal | undefined,
): Promise<ShardIndex> {
  const path = join(folder, indexFile);
  const { weight_map: value } = await readIndex(path, signal);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${path} has no weight_map`);
  const weightMap = new Map<string, string>();
  const names = new Map<unknown, string>();
  for (const [tensor, file] of Object.entries(value)) {
    const name = names.get(file) ?? shardName(path, tensor, file);
    names.set(file, name);
    weightMap.set(tensor, name);
  }
  await takeTurn(signal);
  if (weightMap.size === 0) throw invalid(`${path}: weight_map is empty`);
  const files = [...new Set(weightMap.values())].sort();
  if (files.length > maxShards)
    throw invalid(`${path} names ${files.length} files, above the limit of ${maxShards}`);
  for (const file of files) {
    await assertExists(folder, indexFile, file);
    signal?.throwIfAborted();
  }
  return { files, indexFile, weightMap };
}

/** Two readers of an object with a key twice may see different shards. */
async function readIndex(
  path: string,
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown>> {
  const bytes = await readJsonBytes(path, 'CHECKPOINT_INVALID_INDEX');
  const limits = { maxValues: maxTensors };
  const index = parseJsonObject(bytes, path, 'CHECKPOINT_INVALID_INDEX', limits);
  await takeTurn(signal);
  const duplicate = duplicateKey(bytes.toString('utf8'));
  await takeTurn(signal);
  if (duplicate !== null) throw invalid(`${path} has the key ${quoted(duplicate)} twice`);
  return index;
}

/** Lets signals and timers be seen between two parts that hold the thread. */
async function takeTurn(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}

function shardName(path: string, tensor: string, file: unknown): string {
  const isPlainName =
    typeof file === 'string' &&
    file.length <= maxNameLength &&
    plainName.test(file) &&
    !file.startsWith('.');
  if (!isPlainName)
    throw invalid(
      `${path}: ${quoted(tensor)} is mapped to ${quoted(file)}, which is no safetensors file of this folder`,
    );
  return file;
}

async function assertExists(folder: string, indexFile: string, file: string): Promise<void> {
  const place = `shard ${quoted(file)} named in ${indexFile}`;
  try {
    await access(join(folder, file));
  } catch (error) {
    // The system's own words have the whole name.
    if (errnoCode(error) !== 'ENOENT') throw fileError(error, `${folder}: ${place}`);
    throw new CheckpointError('CHECKPOINT_NOT_FOUND', `${place} is missing from ${folder}`);
  }
}

export async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    throw fileError(error, folder);
  }
}

function invalid(message: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_INVALID_INDEX', message);
}

function severalWeights(folder: string, found: readonly WeightNames[]): CheckpointError {
  const names = found.map(({ single }) => single).join(' and ');
  return invalid(`${folder} has the weights of both ${names}: remove those that are not meant`);
}

function bothIndexes(folder: string, one: string, other: string): CheckpointError {
  return invalid(`${folder} has both ${one} and ${other}: remove the one that is not meant`);
}

function noWeights(folder: string, names: readonly string[]): CheckpointError {
  const some = (pattern: RegExp) => names.filter((name) => pattern.test(name)).sort()[0];
  const [usual, diffusion] = stems;
  const stem = some(/^diffusion_pytorch_model/) === undefined ? usual : diffusion;
  const refuse = (name: string, advice: string) =>
    new CheckpointError(
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      `${folder} has ${quoted(name)} but no ${stem}.safetensors: ${advice}`,
    );
  const adapter = some(/^(adapter_(config\.json|model\.)|pytorch_lora_weights\.)/);
  if (adapter) return refuse(adapter, 'it is an adapter, give the base model here');
  const shard = some(/\.safetensors$/);
  if (shard)
    return refuse(shard, `several files need ${stem}.safetensors.index.json, which is missing`);
  const pickled = some(/\.(bin|pt|pth|ckpt)$/);
  if (pickled)
    return refuse(
      pickled,
      'pickled weights can run code and are not read; save the model again with save_pretrained',
    );
  const gguf = some(/\.gguf$/);
  if (gguf)
    return refuse(gguf, 'GGUF files are for inference; use the safetensors release of the model');
  return new CheckpointError(
    'CHECKPOINT_NOT_FOUND',
    `${folder} has neither model.safetensors nor diffusion_pytorch_model.safetensors, nor an index of several files`,
  );
}
