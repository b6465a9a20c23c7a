import { posix } from 'node:path';
import { parseJsonText } from '@emloc/untrusted';

import { cut, HubError } from './errors.js';
import { neededPaths, noTransformer, weightsName } from './needed-paths.js';
import type { RepoFile } from './repo-file.js';

const shardName = /^[^/\\]+\.safetensors$/;
const otherWeights = /\.(safetensors|bin|pth?|gguf|ggml|onnx|h5|msgpack|ckpt|npz)$/;

const mostNamed = 3;
/** Three times the tensors of the largest models. */
const maxTensors = 500_000;

/** What a model, or the models that make images together, need of their repository. */
export interface NeededFiles {
  readonly small: readonly RepoFile[];
  /** Weights in one file each. */
  readonly weights: readonly RepoFile[];
  /** Indexes of weights in several files. */
  readonly indexes: readonly RepoFile[];
}

/** An index as it was read. */
export interface WeightIndex {
  /** In the repository. */
  readonly path: string;
  readonly text: string;
}

/**
 * @param name of the repository, for messages
 * @throws HubError HUB_UNSUPPORTED_REPOSITORY without a config, safetensors or what else a model
 * cannot be without
 */
export function neededFiles(name: string, files: readonly RepoFile[]): NeededFiles {
  const { small, weights, lacks } = neededPaths(files.map(({ path }) => path));
  if (lacks.length > 0) throw unsupported(name, lackOf(lacks, files));
  const listed = (paths: readonly string[]): RepoFile[] => {
    const set = new Set(paths);
    return files.filter(({ path }) => set.has(path));
  };
  const weightPaths = (isWanted: boolean): string[] =>
    weights.filter(({ isIndex }) => isIndex === isWanted).map(({ path }) => path);
  return {
    small: listed(small),
    weights: listed(weightPaths(false)),
    indexes: listed(weightPaths(true)),
  };
}

/**
 * The files that an index names, from the listing.
 * @throws HubError HUB_UNSUPPORTED_REPOSITORY for an index that is none, or names what is not there
 */
export function shardsOf(name: string, index: WeightIndex, files: readonly RepoFile[]): RepoFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return shardPaths(name, index).map((path) => {
    const file = byPath.get(path);
    if (file) return file;
    throw unsupported(name, `has ${index.path}, which names ${cut(path)}, but not that file`);
  });
}

/** The paths of an index's shards, sorted. @throws HubError HUB_UNSUPPORTED_REPOSITORY */
export function shardPaths(name: string, index: WeightIndex): string[] {
  const names = new Set<unknown>(Object.values(weightMapOf(name, index)));
  const shards = [...names].filter(
    (shard): shard is string => typeof shard === 'string' && shardName.test(shard),
  );
  if (shards.length === 0 || shards.length < names.size)
    throw unsupported(name, `has ${index.path}, which names no safetensors files beside itself`);
  return shards.sort().map((shard) => posix.join(posix.dirname(index.path), shard));
}

function weightMapOf(name: string, { path, text }: WeightIndex): object {
  try {
    const { weight_map: map } = parseJsonText(text, { maxValues: maxTensors }) as {
      weight_map?: unknown;
    };
    if (typeof map === 'object' && map !== null) return map;
  } catch (cause) {
    throw unsupported(name, `has ${path}, which is no JSON`, cause);
  }
  throw unsupported(name, `has ${path}, which has no weight_map`);
}

/** What is not there, and where it is weights, those that are. */
function lackOf(lacks: readonly string[], files: readonly RepoFile[]): string {
  if (lacks.includes(weightsName)) {
    if (files.some(({ path }) => path === 'adapter_config.json'))
      return `holds an adapter, not a model: there is no ${weightsName}`;
    return `has no ${weightsName} and no ${weightsName}.index.json; ${weightsOf(files)}`;
  }
  const what = `has no ${lacks.join(', ')}`;
  const isOfWeights = lacks.some((lack) => lack.endsWith('.safetensors') || lack === noTransformer);
  return isOfWeights ? `${what}; ${weightsOf(files)}` : what;
}

function weightsOf(files: readonly RepoFile[]): string {
  const found = files.filter(({ path }) => otherWeights.test(path)).map(({ path }) => cut(path));
  const more = found.length - mostNamed;
  return found.length === 0
    ? 'it has no weights at all'
    : `its weights are ${found.slice(0, mostNamed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function unsupported(name: string, what: string, cause?: unknown): HubError {
  return new HubError('HUB_UNSUPPORTED_REPOSITORY', `${name} ${what}`, { cause });
}
