import { join } from 'node:path';

import {
  invalidAdapter,
  layerShape,
  readLayer,
  type LayerNames,
  type LayerShape,
} from './adapter-tensors.js';
import { openAdapterWeights, type AdapterWeights } from './adapter-weights.js';
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
import { adapterConfigName, parsePeftConfig, type PeftConfig } from './peft-config.js';
import { loraTensorName, parseCopyName, parseLoraTensorName } from './peft-names.js';
import { withPathsOf } from './rename-layers.js';

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
  /** Looked at between files and tensors. */
  readonly signal?: AbortSignal;
}

/**
 * Reads a PEFT LoRA adapter; float16 and bfloat16 are widened to float32.
 * @throws CheckpointError naming what is not there, not LoRA or DoRA, or does not fit the model.
 */
export async function readPeftAdapter(
  folder: string,
  { linearModules, base, signal }: ReadPeftOptions = {},
): Promise<LoraAdapter> {
  const configPath = join(folder, adapterConfigName);
  const config = parsePeftConfig(
    await readJsonObject(configPath, 'CHECKPOINT_ADAPTER_INVALID'),
    configPath,
  );
  await using file = await openAdapterWeights(folder, { signal });
  const shapes = layerShapes(file, config, linearModules);
  const { rank, alpha, useRslora, targetModules, baseModel } = config;
  const adapter: LoraAdapter = {
    rank,
    alpha,
    useRslora,
    targetModules,
    layers: await readLayers(file, shapes, config),
    ...(baseModel !== undefined && { baseModel }),
  };
  assertAdapter(adapter);
  await assertCopies(file, { base, signal });
  return adapter;
}

const names: LayerNames = Object.freeze({ nameOf: loraTensorName, ranksFrom: adapterConfigName });
const magnitudeName = (path: string): string => loraTensorName(path, 'magnitude');

/** Of each layer, by its path in the model. Nothing is read of what does not fit. */
function layerShapes(
  file: AdapterWeights,
  config: PeftConfig,
  linearModules: LinearModules | undefined,
): ReadonlyMap<string, LayerShape> {
  const shapes = new Map<string, LayerShape>();
  for (const path of layerPaths(file, config))
    shapes.set(path, layerShape(file, path, { ...config, ...names }));
  if (!linearModules) return shapes;
  const layers = withPathsOf(shapes, (path) => linearModules.has(path));
  assertFitsModel({ layers }, linearModules);
  return layers;
}

async function readLayers(
  file: AdapterWeights,
  shapes: ReadonlyMap<string, LayerShape>,
  { useDora }: PeftConfig,
): Promise<Map<string, LoraLayer>> {
  const layers = new Map<string, LoraLayer>();
  const magnitudeOf = useDora ? magnitudeName : null;
  for (const [path, shape] of shapes)
    layers.set(path, await readLayer(file, shape, { ...names, magnitudeOf }));
  return layers;
}

function layerPaths(file: AdapterWeights, { suffixes, useDora }: PeftConfig): Set<string> {
  const paths = new Set<string>();
  const targets = suffixes && new Set(suffixes);
  for (const name of file.tensors.keys()) {
    if (parseCopyName(name) !== null) continue;
    const parsed = parseLoraTensorName(name);
    if (!parsed) throw unsupported(file, name);
    if (parsed.matrix === 'magnitude' && !useDora)
      throw invalidAdapter(file, `has ${quoted(name)}, though use_dora is not true`);
    if (targets && !hasEndIn(targets, parsed.path))
      throw invalidAdapter(
        file,
        `has weights of ${quoted(parsed.path)}, which target_modules does not select`,
      );
    paths.add(parsed.path);
  }
  return paths;
}

/** No module of a model is in half as many others. */
const mostParts = 64;

/** Whether a path, or what is behind one of its last dots, is one of some names. */
function hasEndIn(names: ReadonlySet<string>, path: string): boolean {
  let start = path.length;
  for (let part = 0; part < mostParts && start > 0; part += 1) {
    const end = start - 1;
    start = path.lastIndexOf('.', end - 1) + 1;
    if (names.has(path.slice(start))) return true;
  }
  return names.has(path);
}

function unsupported(file: AdapterWeights, name: string): CheckpointError {
  const what = name.includes('lora_embedding_')
    ? 'LoRA on an embedding'
    : 'no lora_A, lora_B or magnitude of a linear layer';
  return new CheckpointError(
    'CHECKPOINT_ADAPTER_UNSUPPORTED',
    `${file.path}: ${quoted(name)} is ${what}, which is not supported`,
  );
}
