import { bothRopes, plainDecoder, refuseQuantization, wrappedNames } from '../common.js';
import { isObject, type ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import type { DecoderLayer, DecoderShape } from '../decoder-shape.js';
import { listedTypes } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes, type SizeDefaults } from '../sizes.js';
import { gatedDeltaNet, gateLinears } from './delta-net.js';
import { readDeltaNet } from './read-delta-net.js';

const defaults: SizeDefaults = {
  maxPositions: 32_768,
  epsilon: 1e-6,
  headDim: 256,
  kvHeads: 4,
};

/** Sizes that transformers' class has; configs within a wrapper's may leave them out. */
const classSizes = {
  hiddenSize: 4096,
  intermediateSize: 12_288,
  vocabularySize: 248_320,
  layers: 32,
  heads: 16,
};

const layerTypes = ['linear_attention', 'full_attention'] as const;
const ropeName = 'shared';

/** AutoModelForCausalLM opens such a folder as the class without images, whose paths differ. */
const adapterNotice =
  'note: the adapter has the module paths of Qwen3_5ForConditionalGeneration (model.language_model.layers…), which is what vLLM serves; loaded onto Qwen3_5ForCausalLM, as AutoModelForCausalLM opens this folder, it changes nothing, as adapters of that class do in vLLM';

/** Qwen3.5 and 3.6 without images, which open the folders of those with them, too. */
export const qwen35: DecoderFamily = {
  name: 'qwen3_5',
  architectures: ['Qwen3_5ForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    const text = isObject(config.get('text_config')) ? config.nested('text_config') : config;
    return {
      ...qwen35Shape(text, defaults),
      names: [...plainDecoder.names, ...wrappedNames.names],
      ignored: ['mtp.', 'model.visual.'],
    };
  },
};

/** The language model of Qwen3.5 and 3.6 with images. */
export const qwen35Wrapped: DecoderFamily = {
  name: 'qwen3_5',
  architectures: ['Qwen3_5ForConditionalGeneration'],

  shape(config) {
    refuseQuantization(config);
    if (!isObject(config.get('text_config'))) throw config.invalid('text_config', 'an object');
    const text = config.nested('text_config');
    return {
      ...qwen35Shape(text, { ...defaults, sizes: classSizes }),
      ...wrappedNames,
      names: [...wrappedNames.names, ...plainDecoder.names],
      ignored: ['mtp.'],
      adapterNotice,
      tiedHead: config.boolean('tie_word_embeddings', false),
    };
  },
};

function qwen35Shape(config: ConfigReader, sizeDefaults: SizeDefaults): DecoderShape {
  refuseOthers(config);
  const sizes = readSizes(config, sizeDefaults);
  // A text's positions are the same on the three axes of images: `mrope_section` changes nothing.
  const rope = readRope(config, { ...sizes, theta: 10_000, partial: 0.25 });
  return {
    ...plainDecoder,
    ...sizes,
    family: 'qwen3_5',
    layers: readLayers(config, readLayerCount(config, sizeDefaults)),
    ropes: new Map([[ropeName, rope]]),
    tiedHead: config.boolean('tie_word_embeddings', false),
    qkNorm: 'head',
    attentionGate: true,
    normOffset: 1,
    attentionScale: 1 / Math.sqrt(sizes.headDim),
    activation: 'silu',
    onlyWhenNamed: gateLinears,
  };
}

function refuseOthers(config: ConfigReader): void {
  refuseQuantization(config);
  config.only('model_type', ['qwen3_5_text']);
  config.only('attention_bias', [false]);
  config.only('hidden_act', ['silu']);
  config.only('attn_output_gate', [true]);
  // Of the delta net; that of attention is a sigmoid whatever this says.
  config.only('output_gate_type', ['swish', 'silu']);
  const dense = 'mlp_only_layers';
  const list = config.has(dense) ? config.get(dense) : [];
  if (!Array.isArray(list) || list.length > 0) throw config.unsupported(dense, 'only []');
}

/** The delta net in all layers but every fourth, or as `layer_types` says. */
function readLayers(config: ConfigReader, count: number): readonly DecoderLayer[] {
  const every = config.positiveInteger('full_attention_interval', 4);
  const types =
    listedTypes(config, count, layerTypes) ??
    Array.from({ length: count }, (_, layer) => layerTypes[(layer + 1) % every === 0 ? 1 : 0]);
  const net = readDeltaNet(config);
  const linear: DecoderLayer = {
    rope: null,
    window: null,
    mixer: {
      kind: 'gatedDeltaNet',
      mix: (block, x, place) => gatedDeltaNet(block, x, { net, place }),
    },
  };
  const full: DecoderLayer = { rope: bothRopes(ropeName), window: null };
  return types.map((type) => (type === 'full_attention' ? full : linear));
}
