import { readAdapter, settleOutput, type LoraAdapter } from '@emloc/checkpoint';
import { frontLength } from '@emloc/finetune';
import {
  adaptableModules,
  openDiffusionModel,
  type DiffusionModel,
  type Model,
} from '@emloc/models';

import { behindFront } from '../job/job.js';

/** A model that makes pictures, with an adapter or without. */
export interface PictureModel extends AsyncDisposable {
  readonly diffusion: DiffusionModel;
  readonly adapter: LoraAdapter | null;
  /** Blocks of the transformer that run once a condition: none that the adapter touches. */
  readonly frontBlocks: number;
  /** The transformer behind them. */
  readonly model: Model;
}

interface OpenOptions {
  readonly model: string;
  readonly adapter: string | null;
  readonly allowUnusedLayers: boolean;
}

interface OpenHost {
  readonly onNotice?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** @throws the typed errors of models and adapters; the signal's reason when aborted */
export async function openPictureModel(
  { model: folder, adapter: path, allowUnusedLayers }: OpenOptions,
  { onNotice, signal }: OpenHost = {},
): Promise<PictureModel> {
  for (const each of [folder, path ?? folder]) await settleOutput(each);
  const diffusion = await openDiffusionModel(folder, { allowUnusedLayers, signal });
  try {
    for (const notice of diffusion.notices) onNotice?.(notice);
    const { transformer } = diffusion;
    const linearModules = adaptableModules(transformer.layout);
    const adapter =
      path === null ? null : await readAdapter(path, { linearModules, base: folder, signal });
    const frontBlocks = frontLength(transformer.layout, (linear) =>
      Boolean(adapter?.layers.has(linear)),
    );
    return {
      ...{ diffusion, adapter, frontBlocks, model: behindFront(transformer, frontBlocks) },
      [Symbol.asyncDispose]: () => diffusion.close(),
    };
  } catch (error) {
    await diffusion.close();
    throw error;
  }
}
