import { CheckpointError, quoted } from './errors.js';
import type { LoraAdapter, LoraLayer } from './lora-adapter.js';
import { knownName } from './wrapped-names.js';

/**
 * An adapter whose layers have the paths that a model has for them, where it names them as another
 * version of the model's class does; those that the model does not have at all stay as they are.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID where two become one
 */
export function withPathsOf(adapter: LoraAdapter, isKnown: (path: string) => boolean): LoraAdapter {
  const layers = new Map<string, LoraLayer>();
  for (const [given, layer] of adapter.layers) {
    const path = knownName(given, isKnown) ?? given;
    if (layers.has(path)) {
      throw new CheckpointError(
        'CHECKPOINT_ADAPTER_INVALID',
        `the adapter has the layer ${quoted(path)} twice: the other is called ${quoted(given)}`,
      );
    }
    layers.set(path, layer);
  }
  return { ...adapter, layers };
}
