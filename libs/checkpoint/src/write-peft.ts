import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { writeFileAtomic, type AtomicOptions } from './atomic.js';
import { fileError } from './errors.js';
import { fromFloat32 } from './floats.js';
import {
  assertAdapter,
  assertFitsModel,
  layerRank,
  type LinearModules,
  type LoraAdapter,
  type LoraLayer,
} from './lora-adapter.js';
import {
  adapterConfigName,
  adapterWeightsName,
  peftConfigText,
  targetExpressionOf,
  targetModulesOf,
} from './peft-config.js';
import { loraTensorName } from './peft-names.js';
import { writeSafetensors, type SafetensorsEntry } from './write-safetensors.js';

export interface WritePeftOptions extends AtomicOptions {
  /**
   * Every linear layer of the model that PEFT would see; without it target_modules holds whole
   * paths.
   */
  readonly linearModules?: LinearModules;
  /**
   * Module that all layers are in, where target_modules must select nothing outside it. Default:
   * none.
   */
  readonly targetsWithin?: string;
}

/**
 * Writes an adapter that PEFT loads: float32 tensors and adapter_config.json, each atomic; put both
 * into `writeOutput` where the folder must be complete or absent. No timestamps, no local
 * paths: equal adapters give equal bytes.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID, CHECKPOINT_ADAPTER_MISMATCH before anything
 * is written.
 */
export async function writePeftAdapter(
  folder: string,
  adapter: LoraAdapter,
  options: WritePeftOptions = {},
): Promise<void> {
  assertAdapter(adapter);
  if (options.linearModules) assertFitsModel(adapter, options.linearModules);
  const { linearModules, targetsWithin } = options;
  const paths = adapter.layers.keys();
  const targetModules =
    targetsWithin === undefined
      ? targetModulesOf(paths, linearModules)
      : targetExpressionOf(paths, linearModules, targetsWithin);
  const baseModel = publicName(adapter.baseModel);
  const revision = baseModel === null ? null : (adapter.baseRevision ?? null);
  const config = peftConfigText(adapter, { targetModules, baseModel, revision });
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw fileError(error, folder);
  }
  await writeSafetensors(
    join(folder, adapterWeightsName),
    entriesOf(adapter),
    { format: 'pt' },
    { signal: options.signal },
  );
  await writeFileAtomic(join(folder, adapterConfigName), config, { signal: options.signal });
}

function entriesOf(adapter: LoraAdapter): SafetensorsEntry[] {
  return [...adapter.layers].flatMap(([path, layer]): SafetensorsEntry[] => [
    {
      name: loraTensorName(path, 'a'),
      shape: [layerRank(adapter, layer), layer.inFeatures],
      dtype: 'float32',
      data: () => fromFloat32(layer.a, 'float32'),
    },
    {
      name: loraTensorName(path, 'b'),
      shape: [layer.outFeatures, layerRank(adapter, layer)],
      dtype: 'float32',
      data: () => fromFloat32(layer.b, 'float32'),
    },
    ...magnitudeEntry(path, layer),
  ]);
}

function magnitudeEntry(
  path: string,
  { magnitude, outFeatures }: LoraLayer,
): readonly SafetensorsEntry[] {
  if (!magnitude) return [];
  return [
    {
      name: loraTensorName(path, 'magnitude'),
      shape: [outFeatures],
      dtype: 'float32',
      data: () => fromFloat32(magnitude, 'float32'),
    },
  ];
}

/** A hub name (`owner/name` or `name`); null for what could be a path on this machine. */
function publicName(baseModel: string | undefined): string | null {
  const isHubName = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/;
  return baseModel !== undefined && isHubName.test(baseModel) ? baseModel : null;
}
