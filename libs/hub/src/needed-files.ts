import { cut, HubError } from './errors.js';
import type { RepoFile } from './repo-file.js';

export const weightsName = 'model.safetensors';
export const indexName = `${weightsName}.index.json`;

/** Files beside the weights that decide what a model computes and how text becomes tokens. */
const smallNames: ReadonlySet<string> = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
]);
const moreTemplates = /^additional_chat_templates\/[^/]+\.jinja$/;
const shardName = /^[^/\\]+\.safetensors$/;
const otherWeights = /\.(safetensors|bin|pth?|gguf|ggml|onnx|h5|msgpack|ckpt|npz)$/;

const mostNamed = 3;

/** What a model needs of its repository. */
export interface NeededFiles {
  readonly small: readonly RepoFile[];
  /** The weights in one file, or the index of those in several. */
  readonly weights: RepoFile;
  readonly isIndex: boolean;
}

/**
 * @param name of the repository, for messages
 * @throws HubError HUB_UNSUPPORTED_REPOSITORY without config.json or safetensors
 */
export function neededFiles(name: string, files: readonly RepoFile[]): NeededFiles {
  const byPath = new Map(files.map((file) => [file.path, file]));
  // A repository may have both; whoever reads a folder takes the single file first.
  const weights = byPath.get(weightsName) ?? byPath.get(indexName);
  if (!weights) throw unsupported(name, noWeights(files));
  if (!byPath.has('config.json')) throw unsupported(name, 'has no config.json');
  return {
    small: files.filter(({ path }) => smallNames.has(path) || moreTemplates.test(path)),
    weights,
    isIndex: weights.path === indexName,
  };
}

/**
 * The files that an index names, from the listing.
 * @param text of model.safetensors.index.json
 * @throws HubError HUB_UNSUPPORTED_REPOSITORY for an index that is none, or names what is not there
 */
export function shardsOf(name: string, text: string, files: readonly RepoFile[]): RepoFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return shardNames(name, text).map((path) => {
    const file = byPath.get(path);
    if (file) return file;
    throw unsupported(name, `has ${indexName}, which names ${cut(path)}, but not that file`);
  });
}

/** The names of shards in an index, sorted. @throws HubError HUB_UNSUPPORTED_REPOSITORY */
export function shardNames(name: string, text: string): string[] {
  const names = new Set<unknown>(Object.values(weightMapOf(name, text)));
  const shards = [...names].filter(
    (shard): shard is string => typeof shard === 'string' && shardName.test(shard),
  );
  if (shards.length === 0 || shards.length < names.size)
    throw unsupported(name, `has an ${indexName} that names no safetensors files beside itself`);
  return shards.sort();
}

function weightMapOf(name: string, text: string): object {
  try {
    const { weight_map: map } = JSON.parse(text) as { weight_map?: unknown };
    if (typeof map === 'object' && map !== null) return map;
  } catch (cause) {
    throw unsupported(name, `has an ${indexName} that is no JSON`, cause);
  }
  throw unsupported(name, `has an ${indexName} without weight_map`);
}

function noWeights(files: readonly RepoFile[]): string {
  if (files.some(({ path }) => path === 'adapter_config.json'))
    return `holds an adapter, not a model: there is no ${weightsName}`;
  const others = files.filter(({ path }) => otherWeights.test(path)).map(({ path }) => cut(path));
  const more = others.length - mostNamed;
  const found =
    others.length === 0
      ? 'it has no weights at all'
      : `its weights are ${others.slice(0, mostNamed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return `has no ${weightsName} and no ${indexName}; ${found}`;
}

function unsupported(name: string, what: string, cause?: unknown): HubError {
  return new HubError('HUB_UNSUPPORTED_REPOSITORY', `${name} ${what}`, { cause });
}
