import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { fileError } from '../errors.js';
import { fromFloat32 } from '../floats.js';
import {
  assertAdapter,
  assertFitsModel,
  layerRank,
  layerScale,
  type LoraAdapter,
  type LoraLayer,
} from '../lora-adapter.js';
import type { WritePeftOptions } from '../write-peft.js';
import { writeSafetensors, type SafetensorsEntry } from '../write-safetensors.js';
import { diffusersKey } from './lora-keys.js';

export const diffusersWeightsName = 'pytorch_lora_weights.safetensors';

/**
 * Writes an adapter of a diffusion model's transformer as diffusers does, in float32. B has the
 * layer's scale in it and all layers have one rank, missing ranks as zeros: so every loader applies
 * scale 1, whatever it takes for alpha. Equal adapters give equal bytes.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID, CHECKPOINT_ADAPTER_MISMATCH before anything
 * is written.
 */
export async function writeDiffusersAdapter(
  folder: string,
  adapter: LoraAdapter,
  { linearModules, signal }: WritePeftOptions = {},
): Promise<void> {
  assertAdapter(adapter);
  if (linearModules) assertFitsModel(adapter, linearModules);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw fileError(error, folder);
  }
  const path = join(folder, diffusersWeightsName);
  await writeSafetensors(path, entriesOf(adapter), { format: 'pt' }, { signal });
}

function entriesOf(adapter: LoraAdapter): SafetensorsEntry[] {
  const layers = [...adapter.layers];
  const rank = layers.reduce((most, [, layer]) => Math.max(most, layerRank(adapter, layer)), 0);
  return layers.flatMap(([path, layer]): SafetensorsEntry[] => {
    const own = layerRank(adapter, layer);
    const scaled = { ...layer, own, rank, scale: layerScale(adapter, layer) };
    return [
      {
        name: diffusersKey(path, 'a'),
        shape: [rank, layer.inFeatures],
        dtype: 'float32',
        data: () => fromFloat32(paddedA(scaled), 'float32'),
      },
      {
        name: diffusersKey(path, 'b'),
        shape: [layer.outFeatures, rank],
        dtype: 'float32',
        data: () => fromFloat32(paddedB(scaled), 'float32'),
      },
    ];
  });
}

/** A layer with its own rank, and the one that it is written with. */
interface ScaledLayer extends LoraLayer {
  readonly own: number;
  readonly rank: number;
  readonly scale: number;
}

function paddedA({ a, inFeatures, rank }: ScaledLayer): Float32Array {
  const padded = new Float32Array(rank * inFeatures);
  padded.set(a);
  return padded;
}

function paddedB({ b, outFeatures, own, rank, scale }: ScaledLayer): Float32Array {
  const padded = new Float32Array(outFeatures * rank);
  for (let row = 0; row < outFeatures; row += 1) {
    const values = b.subarray(row * own, (row + 1) * own).map((value) => value * scale);
    padded.set(values, row * rank);
  }
  return padded;
}
