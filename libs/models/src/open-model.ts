import { openCheckpoint, type Checkpoint } from '@emloc/checkpoint';
import type { LayerSource } from '@emloc/weight-pager';

import { ModelError } from './errors.js';
import { layoutOf } from './families.js';
import type { ModelLayout } from './layout.js';
import { checkpointSource } from './sources.js';

/** A checkpoint folder whose every tensor is there in the shape that its config says. */
export interface Model {
  readonly layout: ModelLayout;
  readonly checkpoint: Checkpoint;
  /** One layer per unit of the layout. */
  readonly source: LayerSource;
  close(): Promise<void>;
}

/** @throws ModelError, CheckpointError before any weight is read. */
export async function openModel(folder: string): Promise<Model> {
  const checkpoint = await openCheckpoint(folder);
  try {
    const layout = layoutOf(checkpoint.config);
    assertTensors(layout, checkpoint);
    return {
      layout,
      checkpoint,
      source: checkpointSource(layout, checkpoint),
      close: () => checkpoint.close(),
    };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

function assertTensors(layout: ModelLayout, checkpoint: Checkpoint): void {
  for (const { checkpointName, shape } of layout.units.flatMap(({ tensors }) => tensors)) {
    const tensor = checkpoint.tensors.get(checkpointName);
    if (!tensor)
      throw new ModelError('MODEL_TENSOR_MISSING', `checkpoint lacks the tensor ${checkpointName}`);
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
