import { bothRopes, refuseQuantization, wrappedNames } from '../common.js';
import { isObject, type ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import type { DecoderShape } from '../decoder-shape.js';
import { gemmaDecoder, readCap } from '../gemma.js';
import { readLayerTypes, readWindow, windowsOf, type LayerType } from '../layer-types.js';
import { readLayerRope, readTheta } from '../rope/index.js';
import { readLayerCount, readSizes, type SizeDefaults, type Sizes } from '../sizes.js';

const defaults: SizeDefaults = {
  maxPositions: 131_072,
  epsilon: 1e-6,
  headDim: 256,
  kvHeads: 4,
};

/** Sizes that transformers' class has; configs within a wrapper's leave them out. */
const classSizes = {
  hiddenSize: 2304,
  intermediateSize: 9216,
  vocabularySize: 262_208,
  layers: 26,
  heads: 8,
};

/** Gemma 3 without images (270M, 1B): Gemma 2 with norms on q and k in place of the caps. */
export const gemma3: DecoderFamily = {
  name: 'gemma3',
  architectures: ['Gemma3ForCausalLM'],
  shape: (config) => gemma3Shape(config, defaults),
};

/** The language model of Gemma 3 with images (4B and up). */
export const gemma3Wrapped: DecoderFamily = {
  name: 'gemma3',
  architectures: ['Gemma3ForConditionalGeneration'],

  shape(config) {
    refuseQuantization(config);
    if (!isObject(config.get('text_config'))) throw config.invalid('text_config', 'an object');
    const text = config.nested('text_config');
    text.only('model_type', ['gemma3_text']);
    return {
      ...gemma3Shape(text, { ...defaults, sizes: classSizes }),
      ...wrappedNames,
      tiedHead: config.boolean('tie_word_embeddings', true),
      // The wrapper's class in transformers does not cap.
      logitCap: null,
    };
  },
};

function gemma3Shape(config: ConfigReader, sizeDefaults: SizeDefaults): DecoderShape {
  const sizes = readSizes(config, sizeDefaults);
  const types = readLayerTypes(config, readLayerCount(config, sizeDefaults), pattern(config));
  const windows = windowsOf(config, types, readWindow(config, 4096));
  return {
    ...gemmaDecoder(config, sizes),
    ...sizes,
    family: 'gemma3',
    layers: windows.map((window) => ({
      rope: bothRopes(window === null ? 'full_attention' : 'sliding_attention'),
      window,
    })),
    ropes: ropes(config, sizes),
    qkNorm: 'head',
    // `attn_logit_softcapping` is a key that transformers' class does not apply.
    scoreCap: null,
    logitCap: readCap(config, 'final_logit_softcapping', null),
  };
}

/** Every sixth layer sees everything, or every so many as an older key says. */
function pattern(config: ConfigReader): (layer: number) => LayerType {
  const every = config.positiveInteger('sliding_window_pattern', 6);
  if (!config.has('layer_types')) config.only('_sliding_window_pattern', [every]);
  return (layer) => ((layer + 1) % every === 0 ? 'full_attention' : 'sliding_attention');
}

function ropes(config: ConfigReader, sizes: Sizes): DecoderShape['ropes'] {
  const full = readTheta(config, 1e6);
  const sliding = readTheta(config, 1e4, 'rope_local_base_freq');
  return new Map([
    ['full_attention', readLayerRope(config, 'full_attention', { ...sizes, theta: full })],
    ['sliding_attention', readLayerRope(config, 'sliding_attention', { ...sizes, theta: sliding })],
  ]);
}
