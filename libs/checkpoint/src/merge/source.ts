import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { ShardedCheckpoint } from '../checkpoint.js';
import { fileError } from '../errors.js';
import {
  findDiffusionModel,
  openTransformerFiles,
  transformerFolder,
  type DiffusionPlace,
} from '../flux/diffusion-place.js';
import { readJsonObject } from '../json-file.js';
import { configFileName, openShards } from '../open-checkpoint.js';
import type { OpenOptions } from '../shard-index.js';

/** Folders of a diffusion model beside the transformer's, by what diffusers calls them. */
const usualComponents = [
  'feature_extractor',
  'scheduler',
  'text_encoder',
  'text_encoder_2',
  'tokenizer',
  'tokenizer_2',
  'vae',
];
const pipelineFile = 'model_index.json';
/** The VAE where components are single files. */
const singleVae = 'ae.safetensors';

/** What is merged into, and what lies around it. */
export interface MergeSource {
  /** The model's folder, which is copied. */
  readonly folder: string;
  /** What stands before the names of the weights that are merged into: a sub-folder, or nothing. */
  readonly under: string;
  /** A file that every copy of the model has, for telling that a folder is one. */
  readonly mark: string;
  /** null: the config is in no file. */
  readonly configFile: string | null;
  readonly components: Components;
  /** Opens the weights in the model's folder or a copy of it. */
  open(folder: string, options?: OpenOptions): Promise<ShardedCheckpoint>;
}

/** Parts of a model, by their names in its folder, that are copied whatever they hold. */
export interface Components {
  readonly folders: ReadonlySet<string>;
  readonly files: ReadonlySet<string>;
  /** Folders that may be links to others. */
  readonly links: ReadonlySet<string>;
}

/**
 * What `emloc merge` writes for the model that a path stands for: a folder of transformers, one of
 * diffusers, or the file with a diffusion model's transformer.
 * @throws CheckpointError
 */
export async function findMergeSource(model: string): Promise<MergeSource> {
  const place = await findDiffusionModel(model);
  if (place) return diffusionSource(place);
  return {
    folder: model,
    under: '',
    mark: configFileName,
    configFile: configFileName,
    components: { folders: new Set(), files: new Set(), links: new Set() },
    open: openShards,
  };
}

async function diffusionSource(place: DiffusionPlace): Promise<MergeSource> {
  const { folder, transformerFile } = place;
  const links = new Set([
    ...usualComponents,
    ...(await statedComponents(folder)),
    transformerFolder,
  ]);
  const folders = new Set([...links].filter((name) => name !== transformerFolder));
  const config = `${transformerFolder}/${configFileName}`;
  return {
    folder,
    under: transformerFile === null ? `${transformerFolder}/` : '',
    mark: transformerFile ?? config,
    configFile: transformerFile === null ? config : null,
    components: { folders, files: new Set([singleVae]), links },
    open: (copy, options = {}) => openTransformerFiles({ folder: copy, transformerFile }, options),
  };
}

/** Those that model_index.json names: each is a library and a class. */
async function statedComponents(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw fileError(error, folder);
  });
  if (!names.includes(pipelineFile)) return [];
  const index = await readJsonObject(join(folder, pipelineFile), 'CHECKPOINT_INVALID_CONFIG');
  return Object.entries(index).flatMap(([name, value]) => (Array.isArray(value) ? [name] : []));
}
