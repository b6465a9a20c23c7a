import { access } from 'node:fs/promises';
import { join } from 'node:path';

import { StoredCheckpoint, type ShardedCheckpoint } from '../checkpoint.js';
import { CheckpointError, quoted } from '../errors.js';
import { readJsonObject } from '../json-file.js';
import { configFileName, openFiles } from '../open-checkpoint.js';
import { bflConfig } from './bfl-config.js';
import { bflTensors, diffusersView } from './bfl-view.js';

/** Where someone may have put diffusers' config of the transformer beside a single file. */
const configPaths = [`transformer/${configFileName}`, configFileName];

/**
 * Opens a FLUX transformer in a single file under the names of diffusers: nothing is converted,
 * tensors are ranges of rows of those that are stored. The config is that of its shapes; a
 * config.json of diffusers beside it gives what they do not say.
 * @throws CheckpointError for quantised files, other variants of FLUX, and what is incomplete
 */
export async function openBflFile(folder: string, name: string): Promise<ShardedCheckpoint> {
  assertVariant(folder, name);
  const stated = await statedConfig(folder);
  return openFiles(folder, [name], {
    use: (files) => {
      const file = files.get(name);
      if (!file) throw new Error(`no file ${name}`);
      const bfl = bflTensors(file);
      const config = withStated(bflConfig(bfl), stated);
      const configBytes = Buffer.from(JSON.stringify(config));
      const tensors = diffusersView(name, bfl);
      return new StoredCheckpoint({ folder, tensors, config, files, indexFile: null, configBytes });
    },
  });
}

/** A variant with the very shapes of dev, which takes an image beside the noise. */
function assertVariant(folder: string, name: string): void {
  if (!/^flux1-kontext/i.test(name)) return;
  throw new CheckpointError(
    'CHECKPOINT_UNSUPPORTED_FORMAT',
    `${join(folder, name)} is FLUX.1 Kontext, which takes an image as its input; supported are FLUX.1 dev and schnell`,
  );
}

interface StatedConfig {
  readonly path: string;
  readonly config: Readonly<Record<string, unknown>>;
}

async function statedConfig(folder: string): Promise<StatedConfig | null> {
  for (const path of configPaths.map((each) => join(folder, each))) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    const config = isThere ? await readJsonObject(path, 'CHECKPOINT_INVALID_CONFIG') : {};
    if (config['_class_name'] === 'FluxTransformer2DModel') return { path, config };
  }
  return null;
}

/** @throws CheckpointError CHECKPOINT_TENSOR_MISMATCH where a config contradicts the shapes */
function withStated(
  config: Readonly<Record<string, unknown>>,
  stated: StatedConfig | null,
): Readonly<Record<string, unknown>> {
  if (stated === null) return config;
  const { axes_dims_rope: axes, ...shapes } = config;
  for (const [key, value] of Object.entries(shapes)) {
    const said = stated.config[key] ?? value;
    if (said !== value && !(key === 'out_channels' && said === config['in_channels']))
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISMATCH',
        `${stated.path}: ${key} is ${quoted(said)}, the file beside it has ${quoted(value)}`,
      );
  }
  return { ...config, axes_dims_rope: stated.config['axes_dims_rope'] ?? axes };
}
