import { access } from 'node:fs/promises';
import { join } from 'node:path';
import {
  findDiffusionModel,
  openCheckpoint,
  openTransformer,
  openVae,
  readJsonObject,
  type Checkpoint,
  type DiffusionPlace,
} from '@emloc/checkpoint';

import { ConfigReader } from './config.js';
import type { DiffusionLimits } from './diffusion-limits.js';
import { ModelError } from './errors.js';
import {
  configFiles,
  fluxLayouts,
  type EncoderNames,
  type FluxLayouts,
} from './flux/components.js';
import { modelFrom, type Model, type OpenModelOptions } from './open-model.js';

/** A folder of models that make images together; only the transformer is trained. */
export interface DiffusionModel extends AsyncDisposable {
  /** Has what is no weight: tokenizers, say. */
  readonly folder: string;
  readonly transformer: Model;
  /** `pooledBatch` to `pooled`. */
  readonly clip: Model;
  /** `promptBatch` to `prompt`. */
  readonly t5: Model;
  /** `imageBatch` to `moments`. */
  readonly vaeEncoder: Model;
  /** `latentBatch` to `image`. */
  readonly vaeDecoder: Model;
  readonly limits: DiffusionLimits;
  /** Those of all components, for people. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

const indexName = 'model_index.json';

/**
 * Whether a path stands for a folder of several models, or a file of such a folder.
 * @throws CheckpointError CHECKPOINT_INVALID_CONFIG where the index of one cannot be read
 */
export async function isDiffusionFolder(path: string): Promise<boolean> {
  const index = join(path, indexName);
  if (!(await exists(index))) return (await findDiffusionModel(path)) !== null;
  await readJsonObject(index, 'CHECKPOINT_INVALID_CONFIG');
  return true;
}

/**
 * Opens every component of a folder.
 * @throws ModelError, CheckpointError before any weight is read
 */
export async function openDiffusionModel(
  path: string,
  { allowUnusedLayers = false, signal }: OpenModelOptions = {},
): Promise<DiffusionModel> {
  const place = await placeOf(path);
  const checkpoints: Checkpoint[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(checkpoints.map((checkpoint) => checkpoint.close()));
  };
  try {
    const opened = await openComponents(place, { opened: checkpoints, signal });
    const layouts = fluxLayouts(
      {
        transformer: opened.transformer.config,
        clip: opened.clip.config,
        t5: opened.t5.config,
        vae: opened.vae.config,
        scheduler: await readJsonObject(
          join(place.folder, configFiles.scheduler),
          'CHECKPOINT_INVALID_CONFIG',
        ),
      },
      namesIn(opened),
    );
    const models = modelsOf(opened, layouts, allowUnusedLayers);
    const { limits } = layouts;
    const notices = Object.values(models).flatMap((model) => model.notices);
    return {
      folder: place.folder,
      ...models,
      limits,
      notices,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws ModelError for a folder of another pipeline's, or of none */
async function placeOf(path: string): Promise<DiffusionPlace> {
  const place = await findDiffusionModel(path);
  const index = join(place?.folder ?? path, indexName);
  if (await exists(index)) {
    const values = await readJsonObject(index, 'CHECKPOINT_INVALID_CONFIG');
    new ConfigReader(values, '', indexName).only('_class_name', ['FluxPipeline']);
  }
  if (place) return place;
  throw new ModelError(
    'MODEL_INVALID_CONFIG',
    `${path} is no model that makes images: it has neither the folder transformer nor a file flux1-*.safetensors`,
  );
}

type Component = 'transformer' | 'clip' | 't5' | 'vae';
type Components = Readonly<Record<Component, Checkpoint>>;

/** One after another, so that what is open when one fails is known. */
async function openComponents(
  place: DiffusionPlace,
  { opened, signal }: { readonly opened: Checkpoint[]; readonly signal?: AbortSignal },
): Promise<Components> {
  const keep = async (opening: Promise<Checkpoint>): Promise<Checkpoint> => {
    const checkpoint = await opening;
    opened.push(checkpoint);
    return checkpoint;
  };
  return {
    transformer: await keep(openTransformer(place, { signal })),
    clip: await keep(openCheckpoint(join(place.folder, 'text_encoder'), { signal })),
    t5: await keep(openCheckpoint(join(place.folder, 'text_encoder_2'), { signal })),
    vae: await keep(openVae(place.folder, { signal })),
  };
}

function namesIn({ clip, t5 }: Components): EncoderNames {
  const prefix = 'text_model.';
  const isPrefixed = [...clip.tensors.keys()].some((name) => name.startsWith(prefix));
  const tables = ['shared.weight', 'encoder.embed_tokens.weight'];
  return {
    clipPrefix: isPrefixed ? prefix : '',
    t5Table: tables.find((name) => t5.tensors.has(name)) ?? 'shared.weight',
  };
}

function modelsOf(opened: Components, layouts: FluxLayouts, allowUnusedLayers: boolean) {
  const of = (component: Component, layout: keyof Omit<FluxLayouts, 'limits'>): Model =>
    modelFrom(opened[component], { layout: layouts[layout], notices: [], allowUnusedLayers });
  return {
    transformer: of('transformer', 'transformer'),
    clip: of('clip', 'clip'),
    t5: of('t5', 't5'),
    vaeEncoder: of('vae', 'vaeEncoder'),
    vaeDecoder: of('vae', 'vaeDecoder'),
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
