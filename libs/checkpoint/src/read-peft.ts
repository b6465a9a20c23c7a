import { access } from 'node:fs/promises';
import { join } from 'node:path';

import { assertCopies } from './copies.js';
import { CheckpointError, quoted } from './errors.js';
import { assertFinite } from './finite.js';
import { isFloat, toFloat32 } from './floats.js';
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
 * @throws CheckpointError naming what is not there, not plain LoRA, or does not fit the model.
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

async function readLayers(
  file: SafetensorsFile,
  config: PeftConfig,
): Promise<Map<string, LoraLayer>> {
  const layers = new Map<string, LoraLayer>();
  for (const path of layerPaths(file, config))
    layers.set(path, await readLayer(file, path, config));
  return layers;
}

function layerPaths(file: SafetensorsFile, { suffixes }: PeftConfig): Set<string> {
  const paths = new Set<string>();
  for (const name of file.tensors.keys()) {
    if (parseCopyName(name) !== null) continue;
    const parsed = parseLoraTensorName(name);
    if (!parsed) throw unsupported(file, name);
    const isTarget =
      suffixes === null ||
      suffixes.some((suffix) => parsed.path === suffix || parsed.path.endsWith(`.${suffix}`));
    if (!isTarget)
      throw invalid(
        file,
        `has weights of ${quoted(parsed.path)}, which target_modules does not select`,
      );
    paths.add(parsed.path);
  }
  return paths;
}

async function readLayer(
  file: SafetensorsFile,
  path: string,
  config: PeftConfig,
): Promise<LoraLayer> {
  const rank = config.ranks(path) ?? config.rank;
  const alpha = config.alphas(path) ?? config.alpha;
  const [aRank, inFeatures] = matrixShape(file, loraTensorName(path, 'a'));
  const [outFeatures, bRank] = matrixShape(file, loraTensorName(path, 'b'));
  if (aRank !== rank || bRank !== rank)
    throw invalid(
      file,
      `layer ${quoted(path)} has rank ${aRank} in A and ${bRank} in B, ${adapterConfigName} says ${rank}`,
    );
  return {
    a: await readFloats(file, loraTensorName(path, 'a')),
    b: await readFloats(file, loraTensorName(path, 'b')),
    inFeatures,
    outFeatures,
    ...(rank !== config.rank && { rank }),
    ...(alpha !== config.alpha && { alpha }),
  };
}

function matrixShape(file: SafetensorsFile, name: string): readonly [number, number] {
  const tensor = file.tensors.get(name);
  if (!tensor) throw invalid(file, `lacks ${quoted(name)}`);
  const [rows, columns, ...rest] = tensor.shape;
  if (rows === undefined || columns === undefined || rest.length > 0)
    throw invalid(
      file,
      `${quoted(name)} has shape [${tensor.shape.join(', ')}], not two dimensions`,
    );
  return [rows, columns];
}

async function readFloats(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const { dtype, start = 0, end = 0 } = file.tensors.get(name) ?? {};
  if (!isFloat(dtype)) {
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      `${file.path}: ${quoted(name)} has dtype ${String(dtype)}; supported are float32, bfloat16, float16`,
    );
  }
  const bytes = new Uint8Array(end - start);
  await file.read(name, bytes);
  assertFinite(bytes, dtype, { name, file: file.path });
  return toFloat32(bytes, dtype);
}

function unsupported(file: SafetensorsFile, name: string): CheckpointError {
  const what = name.includes('lora_embedding_')
    ? 'LoRA on an embedding'
    : 'no lora_A or lora_B of a linear layer';
  return new CheckpointError(
    'CHECKPOINT_ADAPTER_UNSUPPORTED',
    `${file.path}: ${quoted(name)} is ${what}, which is not supported`,
  );
}

function invalid(file: SafetensorsFile, reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_INVALID', `${file.path}: ${reason}`);
}
