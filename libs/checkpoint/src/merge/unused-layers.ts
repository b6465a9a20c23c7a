import type { Checkpoint } from '../checkpoint.js';
import { CheckpointError } from '../errors.js';

const layerName = /^model\.layers\.(\d+)\./;

/**
 * Refuses a checkpoint with more layers than its config says: whoever loads what is merged loses
 * them without a word. A config that gives no number is left to those who run the model.
 * @throws CheckpointError CHECKPOINT_UNUSED_LAYERS
 */
export function assertLayersUsed({ config, tensors, folder }: Checkpoint): void {
  const layers = config['num_hidden_layers'];
  if (typeof layers !== 'number') return;
  const beyond = [...tensors.keys()]
    .map((name) => Number(layerName.exec(name)?.[1] ?? -1))
    .find((layer) => layer >= layers);
  if (beyond === undefined) return;
  throw new CheckpointError(
    'CHECKPOINT_UNUSED_LAYERS',
    `the checkpoint in ${folder} has model.layers.${beyond}, but config.json says ${layers} layers (num_hidden_layers); --allow-unused-layers keeps the others as they are`,
  );
}
