import type { Checkpoint } from '../checkpoint.js';
import { CheckpointError } from '../errors.js';
import { currentName } from '../wrapped-names.js';

const layerName = /^model\.(?:language_model\.)?layers\.(\d+)\./;

/**
 * Refuses a checkpoint with more layers than its config says: whoever loads what is merged loses
 * them without a word. A config that gives no number is left to those who run the model.
 * @throws CheckpointError CHECKPOINT_UNUSED_LAYERS
 */
export function assertLayersUsed({ config, tensors, folder }: Checkpoint): void {
  const layers = layersOf(config);
  if (layers === undefined) return;
  const beyond = [...tensors.keys()].find(
    (name) => Number(layerName.exec(currentName(name))?.[1] ?? -1) >= layers,
  );
  if (beyond === undefined) return;
  const [layer = beyond] = /^.*?\.layers\.\d+/.exec(beyond) ?? [];
  throw new CheckpointError(
    'CHECKPOINT_UNUSED_LAYERS',
    `the checkpoint in ${folder} has ${layer}, but config.json says ${layers} layers (num_hidden_layers); --allow-unused-layers keeps the others as they are`,
  );
}

/** Of a wrapper, those of its language model. */
function layersOf(config: Checkpoint['config']): number | undefined {
  const text = config['text_config'];
  const own = typeof text === 'object' && text !== null ? text : config;
  const { num_hidden_layers: layers } = own as { readonly num_hidden_layers?: unknown };
  return typeof layers === 'number' ? layers : undefined;
}
