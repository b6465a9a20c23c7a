import { CheckpointError, quoted } from './errors.js';
import { adapterWeightsName } from './peft-config.js';
import { listFolder, readWeights, type OpenOptions, type ShardIndex } from './shard-index.js';

const ownIndex = `${adapterWeightsName}.index.json`;
/** transformers calls the index of an adapter's shards as that of a model's. */
const indexOfTransformers = 'model.safetensors.index.json';
const shardPattern = /^adapter_model-\d+-of-\d+\.safetensors$/;

/** Whether a name is one that the shards of an adapter of PEFT's layout have. */
export function isAdapterShard(name: string): boolean {
  return shardPattern.test(name);
}

/**
 * Finds the safetensors files of a folder of PEFT's layout.
 * @throws CheckpointError as `readShardIndex`; naming what is there where they are not
 */
export async function readAdapterIndex(
  folder: string,
  options: OpenOptions = {},
): Promise<ShardIndex> {
  const names = new Set(await listFolder(folder));
  const index = indexIn(names);
  if (index === null && !names.has(adapterWeightsName)) throw noWeights(folder, [...names]);
  const indexes = index === null ? [] : [index];
  return readWeights(folder, { single: adapterWeightsName, indexes }, { names, ...options });
}

/** A model's index beside an adapter in one file is the model's own. */
function indexIn(names: ReadonlySet<string>): string | null {
  if (names.has(ownIndex)) return ownIndex;
  if (names.has(adapterWeightsName) || !names.has(indexOfTransformers)) return null;
  return [...names].some(isAdapterShard) ? indexOfTransformers : null;
}

function noWeights(folder: string, names: readonly string[]): CheckpointError {
  const some = (pattern: RegExp) => names.filter((name) => pattern.test(name)).sort()[0];
  const refuse = (name: string, advice: string) =>
    new CheckpointError(
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      `${folder} has ${quoted(name)} but no ${adapterWeightsName}: ${advice}`,
    );
  const shard = some(shardPattern);
  if (shard !== undefined) return refuse(shard, `several files need ${ownIndex}, which is missing`);
  const pickled = some(/\.(bin|pt|pth|ckpt)$/);
  if (pickled !== undefined)
    return refuse(
      pickled,
      'pickled weights can run code and are not read; save the adapter again with save_pretrained',
    );
  const other = some(/\.(safetensors|gguf)$/);
  if (other !== undefined) return refuse(other, 'it is read under that name alone');
  return new CheckpointError(
    'CHECKPOINT_NOT_FOUND',
    `${folder} has neither ${adapterWeightsName} nor an index of several files`,
  );
}
