import { access } from 'node:fs/promises';
import { join } from 'node:path';

import { invalidAdapter, readLayer, type LayerNames } from './adapter-tensors.js';
import { assertCopies } from './copies.js';
import { CheckpointError, quoted } from './errors.js';
import { readJsonObject } from './json-file.js';
import {
  assertAdapter,
  assertFitsModel,
  type LinearModules,
  type LoraAdapter,
  type LoraLayer,
} from './lora-adapter.js';
import {
  adapterConfigName,
  adapterWeightsName,
  parsePeftConfig,
  type PeftConfig,
} from './peft-config.js';
import { loraTensorName, parseCopyName, parseLoraTensorName } from './peft-names.js';
import { withPathsOf } from './rename-layers.js';
import { openSafetensors, type SafetensorsFile } from './safetensors-file.js';

export interface ReadPeftOptions {
  /**
   * The linear layers of the model that it is for; without it only the adapter itself is checked.
   */
  readonly linearModules?: LinearModules;
  /**
   * The base model's folder. PEFT stores copies of the embedding and the head with some adapters:
   * without it they are refused, with it those that differ from the base's.
   */
  readonly base?: string;
}

/**
 * Reads a PEFT LoRA adapter; float16 and bfloat16 are widened to float32.
 * @throws CheckpointError naming what is not there, not LoRA or DoRA, or does not fit the model.
 */
export async function readPeftAdapter(
  folder: string,
  { linearModules, base }: ReadPeftOptions = {},
): Promise<LoraAdapter> {
  const configPath = join(folder, adapterConfigName);
  const config = parsePeftConfig(
    await readJsonObject(configPath, 'CHECKPOINT_ADAPTER_INVALID'),
    configPath,
  );
  await assertSafetensors(folder);
  await using file = await openSafetensors(join(folder, adapterWeightsName));
  const { rank, alpha, useRslora, targetModules, baseModel } = config;
  const layers = await readLayers(file, config);
  const own: LoraAdapter = {
    rank,
    alpha,
    useRslora,
    targetModules,
    layers,
    ...(baseModel !== undefined && { baseModel }),
  };
  const adapter = linearModules ? withPathsOf(own, (path) => linearModules.has(path)) : own;
  assertAdapter(adapter);
  if (linearModules) assertFitsModel(adapter, linearModules);
  await assertCopies(file, base);
  return adapter;
}

async function assertSafetensors(folder: string): Promise<void> {
  const exists = (name: string) =>
    access(join(folder, name)).then(
      () => true,
      () => false,
    );
  if (!(await exists(adapterWeightsName)) && (await exists('adapter_model.bin'))) {
    throw new CheckpointError(
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      `${folder} has adapter_model.bin but no ${adapterWeightsName}: pickled weights can run code and are not read`,
    );
  }
}

const names: LayerNames = Object.freeze({ nameOf: loraTensorName, ranksFrom: adapterConfigName });
const magnitudeName = (path: string): string => loraTensorName(path, 'magnitude');

async function readLayers(
  file: SafetensorsFile,
  config: PeftConfig,
): Promise<Map<string, LoraLayer>> {
  const layers = new Map<string, LoraLayer>();
  const magnitudeOf = config.useDora ? magnitudeName : null;
  for (const path of layerPaths(file, config))
    layers.set(path, await readLayer(file, path, { ...config, ...names, magnitudeOf }));
  return layers;
}

function layerPaths(file: SafetensorsFile, { suffixes, useDora }: PeftConfig): Set<string> {
  const paths = new Set<string>();
  for (const name of file.tensors.keys()) {
    if (parseCopyName(name) !== null) continue;
    const parsed = parseLoraTensorName(name);
    if (!parsed) throw unsupported(file, name);
    if (parsed.matrix === 'magnitude' && !useDora)
      throw invalidAdapter(file, `has ${quoted(name)}, though use_dora is not true`);
    const isTarget =
      suffixes === null ||
      suffixes.some((suffix) => parsed.path === suffix || parsed.path.endsWith(`.${suffix}`));
    if (!isTarget)
      throw invalidAdapter(
        file,
        `has weights of ${quoted(parsed.path)}, which target_modules does not select`,
      );
    paths.add(parsed.path);
  }
  return paths;
}

function unsupported(file: SafetensorsFile, name: string): CheckpointError {
  const what = name.includes('lora_embedding_')
    ? 'LoRA on an embedding'
    : 'no lora_A, lora_B or magnitude of a linear layer';
  return new CheckpointError(
    'CHECKPOINT_ADAPTER_UNSUPPORTED',
    `${file.path}: ${quoted(name)} is ${what}, which is not supported`,
  );
}
