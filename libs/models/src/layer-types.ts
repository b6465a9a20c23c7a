import type { ConfigReader } from './config.js';

export type LayerType = 'full_attention' | 'sliding_attention';

const layerTypes: readonly LayerType[] = ['full_attention', 'sliding_attention'];
const windowBounds = { most: 2 ** 31 - 1 };

/** `layer_types`, or else what the family derives. */
export function readLayerTypes(
  config: ConfigReader,
  count: number,
  derived: (layer: number) => LayerType,
): readonly LayerType[] {
  return (
    listedTypes(config, count, layerTypes) ??
    Array.from({ length: count }, (_, layer) => derived(layer))
  );
}

/** `layer_types`, whose every entry is one of those known; null where it is absent. */
export function listedTypes<Type extends string>(
  config: ConfigReader,
  count: number,
  known: readonly Type[],
): readonly Type[] | null {
  const key = 'layer_types';
  if (!config.has(key)) return null;
  const values: unknown = config.get(key);
  if (!Array.isArray(values)) throw config.invalid(key, 'a list');
  if (values.length !== count)
    throw config.invalid(
      key,
      `a list of num_hidden_layers ${count} types, not of ${values.length}`,
    );
  return values.map((value: unknown) => {
    const type = known.find((each) => each === value);
    if (type === undefined) throw config.unsupported(key, `only ${known.join(' and ')}`);
    return type;
  });
}

/**
 * The windows of a family whose layers are alike. Its class in transformers ignores `layer_types`;
 * those that say otherwise are refused.
 */
export function equalWindows(
  config: ConfigReader,
  count: number,
  window: number | null = null,
): readonly (number | null)[] {
  const type = window === null ? 'full_attention' : 'sliding_attention';
  const other = readLayerTypes(config, count, () => type).find((each) => each !== type);
  if (other !== undefined) throw config.unsupported('layer_types', `only ${type}`);
  return Array.from({ length: count }, () => window);
}

/** The windows of Qwen's families: off, or on from one layer on where nothing else is said. */
export function switchedWindows(config: ConfigReader, count: number): readonly (number | null)[] {
  const window = config.boolean('use_sliding_window', false) ? readWindow(config, 4096) : null;
  const first = config.positiveInteger('max_window_layers', 28, { least: 0 });
  const types = readLayerTypes(config, count, (layer) =>
    window !== null && layer >= first ? 'sliding_attention' : 'full_attention',
  );
  return windowsOf(config, types, window);
}

/** `sliding_window`: rows that a layer sees; null where it says so. */
export function readWindow(config: ConfigReader, fallback: number | null): number | null {
  return config.positiveIntegerOrNull('sliding_window', fallback, windowBounds);
}

/**
 * The window of each layer.
 * @throws ModelError for layers of sliding attention without a window
 */
export function windowsOf(
  config: ConfigReader,
  types: readonly LayerType[],
  window: number | null,
): readonly (number | null)[] {
  return types.map((type) => {
    if (type === 'full_attention') return null;
    if (window === null)
      throw config.unsupported(
        'layer_types',
        'sliding_attention only with a sliding_window in use',
      );
    return window;
  });
}
