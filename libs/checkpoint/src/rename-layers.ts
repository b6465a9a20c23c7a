import { CheckpointError, quoted } from './errors.js';
import { knownName } from './wrapped-names.js';

/**
 * Layers of an adapter by the paths that a model has for them, where they are named as another
 * version of the model's class does; those that the model does not have at all stay as they are.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID where two become one
 */
export function withPathsOf<L>(
  given: ReadonlyMap<string, L>,
  isKnown: (path: string) => boolean,
): Map<string, L> {
  const layers = new Map<string, L>();
  for (const [name, layer] of given) {
    const path = knownName(name, isKnown) ?? name;
    if (layers.has(path)) {
      throw new CheckpointError(
        'CHECKPOINT_ADAPTER_INVALID',
        `the adapter has the layer ${quoted(path)} twice: the other is called ${quoted(name)}`,
      );
    }
    layers.set(path, layer);
  }
  return layers;
}
