import { quoted, type Checkpoint } from '@emloc/checkpoint';

import { blockOf } from './checkpoint-blocks.js';
import { ModelError } from './errors.js';
import type { ModelLayout } from './layout.js';

const shownNames = 5;

/** Tables that old checkpoints hold and every reader computes for itself. */
const computed = /\.rotary_emb\.inv_freq$/;

/**
 * What to tell of tensors that a model does not use; null where it uses all.
 * @throws ModelError MODEL_UNUSED_LAYERS where these are whole layers, unless they are allowed
 */
export function unusedTensors(
  layout: ModelLayout,
  checkpoint: Checkpoint,
  { allowUnusedLayers }: { readonly allowUnusedLayers: boolean },
): string | null {
  const used = new Set(
    layout.pages.flatMap(({ tensors }) => tensors.map(({ checkpointName }) => checkpointName)),
  );
  // A tied head that is stored, too, is the embedding: openModel has compared them.
  const { repeated, within, ignored = [] } = layout.others;
  const tables = layout.tables.map(({ checkpointName }) => checkpointName);
  for (const name of [...repeated, ...tables]) used.add(name);
  const unused = [...checkpoint.tensors.keys()].filter(
    (name) =>
      !used.has(name) &&
      !computed.test(name) &&
      !ignored.some((prefix) => name.startsWith(prefix)) &&
      (within === null || name.startsWith(`${within}.`)),
  );
  if (!allowUnusedLayers) assertNoLayers(unused, layout, checkpoint);
  if (unused.length === 0) return null;
  const are = unused.length === 1 ? '1 tensor is' : `${unused.length} tensors are`;
  return `warning: ${are} not used by this architecture: ${listed(unused)}`;
}

function assertNoLayers(
  unused: readonly string[],
  layout: ModelLayout,
  { folder }: Checkpoint,
): void {
  for (const numbered of layout.numbered) {
    const { prefix, count, key } = numbered;
    const numbers = unused.map((name) => blockOf(name, { numbered: [numbered] })?.number ?? -1);
    const beyond = new Set(numbers.filter((number) => number >= count));
    if (beyond.size === 0) continue;
    const paths = [...beyond].sort((a, b) => a - b).map((number) => `${prefix}.${number}`);
    throw new ModelError(
      'MODEL_UNUSED_LAYERS',
      `the checkpoint in ${folder} has ${listed(paths)}, but config.json says ${count} layers (${key}); --allow-unused-layers leaves out the others`,
    );
  }
}

function listed(names: readonly string[]): string {
  const some = names.slice(0, shownNames).map(quoted);
  const rest = names.length - some.length;
  return `${some.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
