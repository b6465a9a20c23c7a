import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import { readLayerTypes, readWindow, windowsOf } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** SmolLM3: Llama's layout with layers that do not rotate. */
export const smollm3: DecoderFamily = {
  name: 'smollm3',
  architectures: ['SmolLM3ForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    const sizes = readSizes(config, { maxPositions: 32_768, epsilon: 1e-6, kvHeads: 4 });
    const rotates = readRotates(config, readLayerCount(config));
    const attentionBias = config.boolean('attention_bias', false);
    const { layers, ropes } = ropedLayers(
      readWindows(config, rotates),
      readRope(config, { ...sizes, theta: 2e6 }),
    );
    return {
      ...plainDecoder,
      ...sizes,
      family: 'smollm3',
      layers: layers.map((layer, i) => (rotates[i] === true ? layer : { ...layer, rope: null })),
      ropes,
      tiedHead: config.boolean('tie_word_embeddings', true),
      bias: { qkv: attentionBias, output: attentionBias, mlp: config.boolean('mlp_bias', false) },
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
  },
};

/** `no_rope_layers`, whose 1 means that a layer rotates; there may be more than layers. */
function readRotates(config: ConfigReader, count: number): readonly boolean[] {
  const every = config.positiveInteger('no_rope_layer_interval', 4);
  const key = 'no_rope_layers';
  if (!config.has(key)) return Array.from({ length: count }, (_, i) => (i + 1) % every !== 0);
  const values: unknown = config.get(key);
  if (!Array.isArray(values) || values.length < count)
    throw config.invalid(key, `a list of at least num_hidden_layers ${count} elements`);
  if (!values.every((value) => value === 0 || value === 1))
    throw config.invalid(key, 'a list of 0 and 1');
  return values.slice(0, count).map((value) => value === 1);
}

/** Where windows are in use, layers that do not rotate have them. */
function readWindows(config: ConfigReader, rotates: readonly boolean[]) {
  const window = config.boolean('use_sliding_window', false) ? readWindow(config, null) : null;
  const types = readLayerTypes(config, rotates.length, (layer) =>
    window !== null && rotates[layer] === false ? 'sliding_attention' : 'full_attention',
  );
  return windowsOf(config, types, window);
}
