import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isAdapterShard } from './adapter-index.js';
import { CheckpointError, errnoCode, fileError } from './errors.js';
import { isDiffusionLora } from './flux/lora-keys.js';
import { readDiffusersAdapter } from './flux/read-diffusers.js';
import { diffusersWeightsName } from './flux/write-diffusers.js';
import { listed } from './listed.js';
import type { LoraAdapter } from './lora-adapter.js';
import { configFileName } from './open-checkpoint.js';
import { adapterConfigName, adapterWeightsName } from './peft-config.js';
import { readPeftAdapter, type ReadPeftOptions } from './read-peft.js';
import { openSafetensors } from './safetensors-file.js';

/**
 * Reads a LoRA adapter of PEFT's layout, or one of a diffusion model: a folder that diffusers
 * loads, one with a single file of weights, or that file.
 * @throws CheckpointError naming what is not there, not plain LoRA, or does not fit the model.
 */
export async function readAdapter(
  path: string,
  options: ReadPeftOptions = {},
): Promise<LoraAdapter> {
  const file = await diffusionFile(path);
  return file === null ? readPeftAdapter(path, options) : readDiffusersAdapter(file, options);
}

/** The file with a diffusion model's LoRA; null: the path is a folder of PEFT's layout. */
async function diffusionFile(path: string): Promise<string | null> {
  const names = await namesIn(path);
  if (names === null) return path;
  if (names.includes(diffusersWeightsName)) return join(path, diffusersWeightsName);
  if (names.includes(adapterConfigName)) return null;
  if (names.includes(adapterWeightsName)) {
    const file = join(path, adapterWeightsName);
    return (await hasDiffusionLora(file)) ? file : null;
  }
  if (names.some(isAdapterShard)) return null;
  if (names.includes(configFileName) && names.some((name) => /^model[-.].*safetensors/.test(name)))
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_INVALID',
      `${path} is the folder of a model (${configFileName}), not of an adapter: it has no ${adapterConfigName}`,
    );
  const [first, ...others] = names.filter((name) => name.endsWith('.safetensors'));
  if (first === undefined) return null;
  if (others.length === 0) return join(path, first);
  throw new CheckpointError(
    'CHECKPOINT_ADAPTER_INVALID',
    `${path} has ${others.length + 1} files that may be the adapter (${listed([first, ...others])}): give the path of the one that is meant`,
  );
}

async function hasDiffusionLora(path: string): Promise<boolean> {
  await using file = await openSafetensors(path);
  return isDiffusionLora(file);
}

/** Sorted names in a folder; none where it does not exist; null: it is a file. */
async function namesIn(path: string): Promise<readonly string[] | null> {
  try {
    return (await stat(path)).isDirectory() ? (await readdir(path)).sort() : null;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw fileError(error, path);
  }
}
