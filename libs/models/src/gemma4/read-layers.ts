import { at } from '@emloc/checked';

import { bothRopes } from '../common.js';
import type { ConfigReader } from '../config.js';
import { ModelError } from '../errors.js';
import { readLayerTypes, readWindow, windowsOf, type LayerType } from '../layer-types.js';
import type { Sizes } from '../sizes.js';
import type { Gemma4Layer, Heads } from './shape.js';

const fullAttention: LayerType = 'full_attention';
const overrides = 'per_layer_config';

/** What a configuration class takes for keys that a config leaves out, and what it has read. */
interface LayerContext {
  readonly count: number;
  readonly window: number;
  readonly sizes: Sizes;
  readonly hasLayerInputs: boolean;
}

/** @throws ModelError for layers that contradict each other or are not built, by key and value */
export function readLayers(config: ConfigReader, context: LayerContext): readonly Gemma4Layer[] {
  const { count, sizes } = context;
  const types = readTypes(config, count);
  const windows = windowsOf(config, types, readWindow(config, context.window));
  const heads = readHeads(config, types, sizes);
  const shared = config.positiveInteger('num_kv_shared_layers', 0, { least: 0, most: count - 1 });
  const first = count - shared;
  const isEqual = config.boolean('attention_k_eq_v', false);
  const inner = sizes.intermediateSize;
  const sharedInner = config.boolean('use_double_wide_mlp', false) ? 2 * inner : inner;
  return types.map((type, index) => {
    const isShared = index >= first;
    const own = isEqual && type === fullAttention ? 'equal' : 'apart';
    return {
      type,
      rope: bothRopes(type),
      window: at(windows, index),
      ...heads(type),
      intermediateSize: isShared ? sharedInner : inner,
      keysAndValues: isShared ? { of: sourceOf(config, types.slice(0, first), type) } : own,
      isSource:
        types.slice(first).includes(type) && types.slice(0, first).lastIndexOf(type) === index,
      inputs: context.hasLayerInputs ? index : null,
    };
  });
}

/** Every sixth layer sees everything where nothing is said; the last one always does. */
function readTypes(config: ConfigReader, count: number): readonly LayerType[] {
  const types = readLayerTypes(config, count, (layer) =>
    (layer + 1) % 6 === 0 ? fullAttention : 'sliding_attention',
  );
  return [...types.slice(0, -1), fullAttention];
}

/** The last layer of a type that has keys and values of its own. */
function sourceOf(config: ConfigReader, own: readonly LayerType[], type: LayerType): number {
  const source = own.lastIndexOf(type);
  if (source >= 0) return source;
  throw config.invalid(
    'num_kv_shared_layers',
    `few enough that a layer before those that share has ${type}`,
  );
}

/**
 * What heads are like by type: keys of the config, or numbers of single layers, which have to be
 * the same for all layers of a type.
 */
function readHeads(
  config: ConfigReader,
  types: readonly LayerType[],
  { heads, headDim, kvHeads }: Sizes,
): (type: LayerType) => Heads {
  const plain: Heads = { headDim, kvHeads };
  const byLayer = config.has(overrides)
    ? overriddenHeads(config, types.length, plain)
    : types.map((type) => (type === fullAttention ? globalHeads(config, plain) : plain));
  return (type) => {
    const found = at(byLayer, types.indexOf(type));
    for (const [layer, each] of byLayer.entries())
      if (types[layer] === type && JSON.stringify(each) !== JSON.stringify(found))
        throw config.unsupported(overrides, `only the same numbers for all layers of ${type}`);
    assertHeads(found, heads, type);
    return found;
  };
}

function globalHeads(config: ConfigReader, { kvHeads }: Heads): Heads {
  const key = 'num_global_key_value_heads';
  const counts = config.boolean('attention_k_eq_v', false) && config.has(key);
  return {
    headDim: config.positiveInteger('global_head_dim', 512),
    kvHeads: counts ? config.positiveInteger(key) : kvHeads,
  };
}

function overriddenHeads(config: ConfigReader, count: number, plain: Heads): readonly Heads[] {
  const all = config.nested(overrides);
  const stray = all.keys().find((key) => !/^\d{1,5}$/.test(key) || Number(key) >= count);
  if (stray !== undefined) throw all.unsupported(stray, `only layers 0 to ${count - 1}`);
  return Array.from({ length: count }, (_, layer) => {
    const own = all.nested(String(layer));
    const other = own.keys().find((key) => !['head_dim', 'num_key_value_heads'].includes(key));
    if (other !== undefined) throw own.unsupported(other, 'only head_dim and num_key_value_heads');
    return {
      headDim: own.positiveInteger('head_dim', plain.headDim),
      kvHeads: own.positiveInteger('num_key_value_heads', plain.kvHeads),
    };
  });
}

function assertHeads({ headDim, kvHeads }: Heads, heads: number, type: LayerType): void {
  const problem =
    headDim % 2 !== 0
      ? `heads of ${headDim}, which is odd`
      : heads % kvHeads !== 0
        ? `${kvHeads} key and value heads, of which num_attention_heads ${heads} is no multiple`
        : null;
  if (problem === null) return;
  throw new ModelError('MODEL_INVALID_CONFIG', `config.json: layers of ${type} have ${problem}`);
}
