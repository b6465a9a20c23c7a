import type { Checkpoint } from '../checkpoint.js';
import { CheckpointError } from '../errors.js';
import { currentName } from '../wrapped-names.js';

interface LayerKind {
  /** Names of its tensors, the number of the layer in a group. */
  readonly name: RegExp;
  /** Key of config.json. */
  readonly key: string;
}

const layerKinds: readonly LayerKind[] = [
  { name: /^model\.(?:language_model\.)?layers\.(\d+)\./, key: 'num_hidden_layers' },
  { name: /^transformer_blocks\.(\d+)\./, key: 'num_layers' },
  { name: /^single_transformer_blocks\.(\d+)\./, key: 'num_single_layers' },
];

/**
 * Refuses a checkpoint with more layers than its config says: whoever loads what is merged loses
 * them without a word. A config that gives no number is left to those who run the model.
 * @throws CheckpointError CHECKPOINT_UNUSED_LAYERS
 */
export function assertLayersUsed(checkpoint: Checkpoint): void {
  for (const kind of layerKinds) assertKindUsed(checkpoint, kind);
}

function assertKindUsed({ config, tensors, folder }: Checkpoint, { name, key }: LayerKind): void {
  const layers = layersOf(config, key);
  if (layers === undefined) return;
  const beyond = [...tensors.keys()].find(
    (each) => Number(name.exec(currentName(each))?.[1] ?? -1) >= layers,
  );
  if (beyond === undefined) return;
  const [layer = beyond] = /^.*?(?:\.layers|_blocks)\.\d+/.exec(beyond) ?? [];
  throw new CheckpointError(
    'CHECKPOINT_UNUSED_LAYERS',
    `the checkpoint in ${folder} has ${layer}, but config.json says ${layers} layers (${key}); --allow-unused-layers keeps the others as they are`,
  );
}

/** Of a wrapper, those of its language model. */
function layersOf(config: Checkpoint['config'], key: string): number | undefined {
  const text = config['text_config'];
  const own = typeof text === 'object' && text !== null ? text : config;
  const layers = (own as Readonly<Record<string, unknown>>)[key];
  return typeof layers === 'number' ? layers : undefined;
}
