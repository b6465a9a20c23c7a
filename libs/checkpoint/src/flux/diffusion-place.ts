import { basename, dirname, join } from 'node:path';
import { at } from '@emloc/checked';

import type { Checkpoint, ShardedCheckpoint } from '../checkpoint.js';
import { CheckpointError } from '../errors.js';
import { listed } from '../listed.js';
import { configFileName, openShards } from '../open-checkpoint.js';
import { openSafetensors } from '../safetensors-file.js';
import type { OpenOptions } from '../shard-index.js';
import { openBflFile } from './bfl-checkpoint.js';
import { isBfl } from './bfl-view.js';
import { hasWeights, namesIn } from './folder-weights.js';

export const transformerFolder = 'transformer';

/** Where the parts of a diffusion model lie. */
export interface DiffusionPlace {
  /** Has the components' folders: text_encoder, vae, tokenizer and so on. */
  readonly folder: string;
  /** Name in `folder` of the file with the transformer; null: it is in the folder transformer. */
  readonly transformerFile: string | null;
}

/**
 * Where a diffusion model lies that a path stands for: a folder of diffusers, one with the
 * transformer in a single file in place of its folder, or that file itself. A file is not looked
 * into where it is the only one that can be meant. null: the path is none of these.
 * @throws CheckpointError CHECKPOINT_INVALID_INDEX where several files may be the transformer
 */
export async function findDiffusionModel(path: string): Promise<DiffusionPlace | null> {
  const names = await namesIn(path);
  if (names === null) return null;
  if (names === 'file') {
    const isWeights = path.endsWith('.safetensors');
    return isWeights ? { folder: dirname(path), transformerFile: basename(path) } : null;
  }
  if (await hasWeights(join(path, transformerFolder)))
    return { folder: path, transformerFile: null };
  const transformerFile = await singleFile(path, names);
  if (transformerFile !== null) return { folder: path, transformerFile };
  const isDiffusers = names.includes('model_index.json') && names.includes(transformerFolder);
  return isDiffusers ? { folder: path, transformerFile: null } : null;
}

/**
 * Opens the transformer of a diffusion model; its tensors have the names of diffusers.
 * @throws CheckpointError
 */
export function openTransformer(
  place: DiffusionPlace,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  return openTransformerFiles(place, options);
}

export function openTransformerFiles(
  { folder, transformerFile }: DiffusionPlace,
  options: OpenOptions,
): Promise<ShardedCheckpoint> {
  return transformerFile === null
    ? openShards(join(folder, transformerFolder), options)
    : openBflFile(folder, transformerFile);
}

/** The file of a folder that is a transformer; `flux1-*` counts before any other. */
async function singleFile(folder: string, names: readonly string[]): Promise<string | null> {
  const files = names.filter((name) => name.endsWith('.safetensors') && !isShard.test(name));
  const named = files.filter((name) => /^flux1-/i.test(name));
  // What has a config.json is one model of its own: its weights need not be looked into.
  const others = names.includes(configFileName) ? [] : files;
  const found: string[] = [];
  for (const name of named.length > 0 ? named : others)
    if (await isBflFile(join(folder, name))) found.push(name);
  if (found.length <= 1) return found.at(0) ?? (named.length === 1 ? at(named, 0) : null);
  throw new CheckpointError(
    'CHECKPOINT_INVALID_INDEX',
    `${folder} has ${found.length} transformers (${listed(found)}): give the path of the one that is meant`,
  );
}

const isShard = /-\d+-of-\d+\.safetensors$/;

/** Whether a file has a FLUX transformer; one that is damaged has not. */
async function isBflFile(path: string): Promise<boolean> {
  try {
    await using file = await openSafetensors(path);
    return isBfl(file.tensors.keys());
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}
