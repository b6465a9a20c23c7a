import {
  plainDecoder,
  readActivation,
  refuseQuantization,
  ropedLayers,
  wrappedNames,
} from '../common.js';
import { isObject, type ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import type { DecoderShape } from '../decoder-shape.js';
import { equalWindows, readWindow } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes, type SizeDefaults } from '../sizes.js';
import { ministral3Defaults, ministral3Layers } from './ministral3.js';

const defaults: SizeDefaults = { maxPositions: 131_072, epsilon: 1e-6, kvHeads: 8 };

/** Sizes that transformers' class has; configs within a wrapper's may leave them out. */
const classSizes = {
  hiddenSize: 4096,
  intermediateSize: 14_336,
  vocabularySize: 32_000,
  layers: 32,
  heads: 32,
};
const ministral3Sizes = { ...classSizes, vocabularySize: 131_072, layers: 34 };

/** Mistral 7B, Nemo, Small: Llama's layout, in old ones with a window in every layer. */
export const mistral: DecoderFamily = {
  name: 'mistral',
  architectures: ['MistralForCausalLM'],
  shape: (config) => mistralShape(config, defaults),
};

/** Ministral 3 alone: queries grow with their position, too. */
export const ministral3: DecoderFamily = {
  name: 'ministral3',
  architectures: ['Ministral3ForCausalLM'],
  shape: (config) => ministral3Shape(config, ministral3Defaults),
};

/** The language model of Mistral Small 3.1 and later, of Magistral and of Ministral 3. */
export const mistral3: DecoderFamily = {
  name: 'mistral3',
  architectures: ['Mistral3ForConditionalGeneration'],

  shape(config) {
    refuseQuantization(config);
    if (!isObject(config.get('text_config'))) throw config.invalid('text_config', 'an object');
    const text = config.nested('text_config');
    text.only('model_type', ['mistral', 'ministral3']);
    const shape =
      text.get('model_type') === 'ministral3'
        ? ministral3Shape(text, { ...ministral3Defaults, sizes: ministral3Sizes })
        : mistralShape(text, { ...defaults, sizes: classSizes });
    return {
      ...shape,
      ...wrappedNames,
      family: 'mistral3',
      tiedHead: config.boolean('tie_word_embeddings', true),
    };
  },
};

function mistralShape(config: ConfigReader, sizeDefaults: SizeDefaults): DecoderShape {
  const sizes = readSizes(config, sizeDefaults);
  const rope = readRope(config, { ...sizes, theta: 10_000 });
  const windows = equalWindows(
    config,
    readLayerCount(config, sizeDefaults),
    readWindow(config, 4096),
  );
  return { ...plainDecoder, ...sizes, ...ropedLayers(windows, rope), ...shared(config, sizes) };
}

function ministral3Shape(config: ConfigReader, sizeDefaults: SizeDefaults): DecoderShape {
  const sizes = readSizes(config, sizeDefaults);
  const windows = equalWindows(
    config,
    readLayerCount(config, sizeDefaults),
    readWindow(config, null),
  );
  return {
    ...plainDecoder,
    ...sizes,
    ...ministral3Layers(config, sizes, windows),
    ...shared(config, sizes),
    family: 'ministral3',
  };
}

function shared(config: ConfigReader, { headDim }: { readonly headDim: number }) {
  refuseQuantization(config);
  for (const key of ['attention_bias', 'mlp_bias']) config.only(key, [false]);
  return {
    family: 'mistral',
    tiedHead: config.boolean('tie_word_embeddings', false),
    attentionScale: 1 / Math.sqrt(headDim),
    activation: readActivation(config, 'hidden_act', 'silu'),
  };
}
