import { access } from 'node:fs/promises';
import { join } from 'node:path';

import {
  rowsIn,
  StoredCheckpoint,
  type Checkpoint,
  type ShardedCheckpoint,
  type StoredTensor,
} from '../checkpoint.js';
import { CheckpointError } from '../errors.js';
import { readJsonObject } from '../json-file.js';
import { listed } from '../listed.js';
import { configFileName, openFiles, openShards } from '../open-checkpoint.js';
import type { SafetensorsFile } from '../safetensors-file.js';
import type { OpenOptions } from '../shard-index.js';
import { aeTensor } from './ae-names.js';
import { hasWeights } from './folder-weights.js';

/** Where components are single files, the image encoder and decoder. */
export const aeFile = 'ae.safetensors';
const vaeFolder = 'vae';

/** What no shape says, as FLUX.1 has it. */
const published = Object.freeze({
  norm_num_groups: 32,
  scaling_factor: 0.3611,
  shift_factor: 0.1159,
});

/** Name in a model's folder of the file with its VAE; null: it is in the folder vae. */
export async function findVaeFile(folder: string): Promise<string | null> {
  if (await hasWeights(join(folder, vaeFolder))) return null;
  return (await isThere(join(folder, aeFile))) ? aeFile : null;
}

/**
 * Opens the VAE of a diffusion model; its tensors have the names of diffusers.
 * @param folder has the components' folders, or ae.safetensors in place of vae
 * @throws CheckpointError
 */
export async function openVae(folder: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const file = await findVaeFile(folder);
  return file === null ? openShards(join(folder, vaeFolder), options) : openAe(folder, file);
}

/** Nothing is converted: the config is that of the shapes, with what vae/config.json states. */
async function openAe(folder: string, name: string): Promise<ShardedCheckpoint> {
  const stated = await statedConfig(folder);
  return openFiles(folder, [name], {
    use: (files) => {
      const file = files.get(name);
      if (!file) throw new Error(`no file ${name}`);
      const tensors = diffusersTensors(file, name);
      const config = { ...aeConfig(file), ...stated };
      const configBytes = Buffer.from(JSON.stringify(config));
      return new StoredCheckpoint({ folder, tensors, config, files, indexFile: null, configBytes });
    },
  });
}

async function statedConfig(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const path = join(folder, vaeFolder, configFileName);
  return (await isThere(path)) ? readJsonObject(path, 'CHECKPOINT_INVALID_CONFIG') : {};
}

/** @throws CheckpointError CHECKPOINT_UNSUPPORTED_FORMAT for tensors that it cannot have */
function diffusersTensors(file: SafetensorsFile, name: string): Map<string, StoredTensor> {
  const levels = numbersIn(file, /^encoder\.down\.(\d+)\./);
  const view = new Map<string, StoredTensor>();
  const unknown: string[] = [];
  for (const [stored, { dtype, shape }] of file.tensors) {
    const tensor = aeTensor(stored, levels);
    if (tensor === null) {
      unknown.push(stored);
      continue;
    }
    const isPixel = tensor.isPixelwise && shape.length === 4 && shape.slice(2).join() === '1,1';
    const parts = [{ stored, start: 0, rows: rowsIn(shape) }];
    view.set(tensor.name, { dtype, shape: isPixel ? shape.slice(0, 2) : shape, file: name, parts });
  }
  if (unknown.length === 0) return view;
  throw new CheckpointError(
    'CHECKPOINT_UNSUPPORTED_FORMAT',
    `${file.path} is no image encoder and decoder of FLUX.1: it has ${listed(unknown)}`,
  );
}

/** diffusers' config.json, as far as shapes tell. */
function aeConfig(file: SafetensorsFile): Readonly<Record<string, unknown>> {
  const rowsOf = (name: string): number => rowsIn(file.tensors.get(name)?.shape ?? [0]);
  const channels = Array.from({ length: numbersIn(file, /^encoder\.down\.(\d+)\./) }, (_, level) =>
    rowsOf(`encoder.down.${level}.block.0.conv1.weight`),
  );
  const types = (type: string) => channels.map(() => type);
  return {
    _class_name: 'AutoencoderKL',
    ...{ in_channels: 3, out_channels: 3, act_fn: 'silu' },
    block_out_channels: channels,
    down_block_types: types('DownEncoderBlock2D'),
    up_block_types: types('UpDecoderBlock2D'),
    latent_channels: rowsOf('encoder.conv_out.weight') / 2,
    layers_per_block: numbersIn(file, /^encoder\.down\.0\.block\.(\d+)\./),
    mid_block_add_attention: file.tensors.has('encoder.mid.attn_1.q.weight'),
    use_quant_conv: file.tensors.has('quant_conv.weight'),
    use_post_quant_conv: file.tensors.has('post_quant_conv.weight'),
    ...published,
  };
}

/** How many numbers stand at one place of names. */
function numbersIn(file: SafetensorsFile, pattern: RegExp): number {
  const names = [...file.tensors.keys()];
  return new Set(names.flatMap((name) => pattern.exec(name)?.slice(1, 2) ?? [])).size;
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
