import { at } from '@emloc/checked';
import { openCheckpoint, sameTensor, type Checkpoint } from '@emloc/checkpoint';
import type { LayerSource } from '@emloc/weight-pager';

import type { DecoderNames } from './decoder-shape.js';
import { ModelError } from './errors.js';
import { checkpointTables, type TableReader } from './host-tables.js';
import type { ModelLayout, PageTensor } from './layout.js';
import { missingTensor } from './missing-tensor.js';
import { modelOf } from './model-of.js';
import type { ModelShape } from './model-shape.js';
import { checkpointSource } from './sources.js';
import { unusedTensors } from './unused-tensors.js';

/** A checkpoint folder whose every tensor is there in the shape that its config says. */
export interface Model extends AsyncDisposable {
  readonly layout: ModelLayout;
  readonly checkpoint: Checkpoint;
  /** One layer per page of the layout. A weight that is not finite is an error where it is read. */
  readonly source: LayerSource;
  /** Of the layout's tables. */
  readonly tables: TableReader;
  /** What whoever runs the job should know, for people: tensors that are not used, say. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

export interface OpenModelOptions {
  /** Whether a checkpoint may have more layers than its config says. Default: no. */
  readonly allowUnusedLayers?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * @throws ModelError, CheckpointError before any weight is read, but those of a head that the
 * config says is tied and the checkpoint has all the same: where they differ, this head counts, as
 * it does in transformers.
 */
export async function openModel(
  folder: string,
  { allowUnusedLayers = false, signal }: OpenModelOptions = {},
): Promise<Model> {
  const checkpoint = await openCheckpoint(folder, { signal });
  try {
    return modelFrom(checkpoint, { ...(await layoutIn(checkpoint, signal)), allowUnusedLayers });
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

interface FoundLayout {
  readonly layout: ModelLayout;
  readonly notices: readonly string[];
}

/**
 * A model of an open checkpoint, which closes with it.
 * @throws ModelError where the layout's tensors are not there in their shapes
 */
export function modelFrom(
  checkpoint: Checkpoint,
  { layout, notices, allowUnusedLayers }: FoundLayout & { readonly allowUnusedLayers: boolean },
): Model {
  assertTensors(layout, checkpoint);
  assertNotDenied(layout, checkpoint);
  const unused = unusedTensors(layout, checkpoint, { allowUnusedLayers });
  return {
    layout,
    checkpoint,
    source: checkpointSource(layout, checkpoint),
    tables: checkpointTables(checkpoint),
    notices: unused === null ? notices : [...notices, unused],
    close: () => checkpoint.close(),
    [Symbol.asyncDispose]: () => checkpoint.close(),
  };
}

/** The layout that config.json describes, with a head of its own where the weights have one. */
async function layoutIn(
  checkpoint: Checkpoint,
  signal: AbortSignal | undefined,
): Promise<FoundLayout> {
  const shape = modelOf(checkpoint.config);
  const names = namesIn(checkpoint, shape);
  const [head, embedding] = [`${names.head}.weight`, `${names.embedding}.weight`];
  if (!checkpoint.tensors.has(head)) {
    const tiedHead = shape.tiedHead || shape.tiedBy === 'checkpoint';
    return { layout: shape.layout({ names, tiedHead }), notices: [] };
  }
  const isSame =
    shape.tiedHead &&
    (!checkpoint.tensors.has(embedding) ||
      (await sameTensor(checkpoint, [head, embedding], signal)));
  return {
    layout: shape.layout({ names, tiedHead: isSame }),
    notices:
      isSame === shape.tiedHead || shape.tiedBy === 'checkpoint'
        ? []
        : [
            `warning: ${head} differs from ${embedding} although config.json says tie_word_embeddings: the head of the file is used`,
          ],
  };
}

/**
 * The names whose embedding is there; where none is, those that layers have, or the first: an error
 * then names one.
 */
function namesIn({ tensors }: Checkpoint, { names }: ModelShape): DecoderNames {
  const all = [...tensors.keys()];
  return (
    names.find(({ embedding }) => tensors.has(`${embedding}.weight`)) ??
    names.find(({ layers }) => all.some((name) => name.startsWith(`${layers}.`))) ??
    at(names, 0)
  );
}

function assertNotDenied({ others }: ModelLayout, { tensors, folder }: Checkpoint): void {
  const found = others.denied?.find(({ tensor }) => tensors.has(tensor));
  if (!found) return;
  throw new ModelError(
    'MODEL_INVALID_CONFIG',
    `the checkpoint in ${folder} has ${found.tensor}, of a part that config.json leaves out (${found.key})`,
  );
}

function assertTensors(layout: ModelLayout, checkpoint: Checkpoint): void {
  const tensors = layout.pages.flatMap((page) => page.tensors);
  const tables = layout.tables.map(({ checkpointName, entries, width }): PageTensor => {
    return { name: checkpointName, checkpointName, shape: [entries, width] };
  });
  for (const { checkpointName, storedShape, ...rest } of [...tensors, ...tables]) {
    const shape = storedShape ?? rest.shape;
    const tensor = checkpoint.tensors.get(checkpointName);
    if (!tensor) throw missingTensor(checkpointName, layout, checkpoint);
    if (tensor.shape.join() !== shape.join()) {
      throw new ModelError(
        'MODEL_TENSOR_MISMATCH',
        `${checkpointName} has shape [${tensor.shape.join(', ')}], config.json says [${shape.join(', ')}]`,
      );
    }
    if (!['bfloat16', 'float16', 'float32'].includes(tensor.dtype)) {
      throw new ModelError(
        'MODEL_TENSOR_MISMATCH',
        `${checkpointName} has dtype ${tensor.dtype}; supported are bfloat16, float16, float32`,
      );
    }
  }
}
