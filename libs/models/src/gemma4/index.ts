import { plainDecoder, readActivation, refuseQuantization, wrappedNames } from '../common.js';
import { isObject, type ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import { readCap, rootFactor } from '../gemma.js';
import { readLayerRope, readTheta } from '../rope/index.js';
import { readLayerCount, readSizes, type SizeDefaults } from '../sizes.js';
import { inputLinears } from './layer.js';
import { gemma4Parts } from './parts.js';
import { readLayers } from './read-layers.js';
import type { Gemma4Shape, LayerInputs } from './shape.js';

/** What tells the configuration classes apart. */
interface Gemma4Class {
  readonly window: number;
  readonly maxPositions: number;
  /** Whether it knows inputs of single layers, and mixtures. */
  readonly isPlain: boolean;
}

const plain: Gemma4Class = { window: 512, maxPositions: 131_072, isPlain: false };
const unified: Gemma4Class = { window: 1024, maxPositions: 262_144, isPlain: true };

/** Sizes that transformers' classes have. */
const classSizes = {
  hiddenSize: 2304,
  intermediateSize: 9216,
  vocabularySize: 262_144,
  layers: 30,
  heads: 8,
};

/** Gemma 4's text model alone. */
export const gemma4 = family(['Gemma4ForCausalLM'], (config) => gemma4Shape(config, plain));

/** The text model of the 12B alone, whose images and sounds have no towers. */
export const gemma4Unified = family(['Gemma4UnifiedForCausalLM'], (config) =>
  gemma4Shape(config, unified),
);

/** The language model of Gemma 4 with images and sounds. */
export const gemma4Wrapped = wrappedFamily('Gemma4ForConditionalGeneration', {
  ...plain,
  type: 'gemma4_text',
});

/** The language model of the 12B with images and sounds. */
export const gemma4UnifiedWrapped = wrappedFamily('Gemma4UnifiedForConditionalGeneration', {
  ...unified,
  type: 'gemma4_unified_text',
});

function wrappedFamily(
  architecture: string,
  ofClass: Gemma4Class & { readonly type: string },
): DecoderFamily<Gemma4Shape> {
  return family([architecture], (config) => wrappedShape(config, architecture, ofClass));
}

function family(
  architectures: readonly string[],
  shape: (config: ConfigReader) => Gemma4Shape,
): DecoderFamily<Gemma4Shape> {
  return { name: 'gemma4', architectures, shape, parts: gemma4Parts };
}

/** What loads such an adapter elsewhere, and what it does not change there. */
function adapterNoticeOf(architecture: string): string {
  return `note: the adapter has the module paths of ${architecture} (model.language_model.layers…), as which transformers and vLLM open this folder; loaded onto a class of text alone, it may change nothing`;
}

function wrappedShape(
  config: ConfigReader,
  architecture: string,
  ofClass: Gemma4Class & { readonly type: string },
): Gemma4Shape {
  refuseQuantization(config);
  if (!isObject(config.get('text_config'))) throw config.invalid('text_config', 'an object');
  const text = config.nested('text_config');
  text.only('model_type', [ofClass.type]);
  return {
    ...gemma4Shape(text, ofClass),
    ...wrappedNames,
    adapterNotice: adapterNoticeOf(architecture),
    tiedHead: config.boolean('tie_word_embeddings', true),
  };
}

function gemma4Shape(config: ConfigReader, ofClass: Gemma4Class): Gemma4Shape {
  refuseWhatIsNotBuilt(config);
  const { window, maxPositions } = ofClass;
  const defaults: SizeDefaults = {
    ...{ maxPositions, epsilon: 1e-6, headDim: 256, kvHeads: 4, sizes: classSizes },
  };
  const sizes = readSizes(config, defaults);
  const count = readLayerCount(config, defaults);
  const layerInputs = readLayerInputs(config, sizes.vocabularySize, ofClass);
  const hasLayerInputs = layerInputs !== null;
  const layers = readLayers(config, { count, window, sizes, hasLayerInputs });
  const hasBias = config.boolean('attention_bias', false);
  return {
    ...plainDecoder,
    ...sizes,
    family: 'gemma4',
    layers,
    layerInputs,
    ropes: ropesOf(config, { layers, maxPositions: sizes.maxPositions }),
    tiedHead: config.boolean('tie_word_embeddings', true),
    bias: { qkv: hasBias, output: hasBias, mlp: false },
    qkNorm: 'head',
    // As narrow as a layer's input: factors of them would save nothing.
    onlyWhenNamed: Object.values(inputLinears),
    norms: {
      attentionInput: 'input_layernorm',
      attentionOutput: 'post_attention_layernorm',
      mlpInput: 'pre_feedforward_layernorm',
      mlpOutput: 'post_feedforward_layernorm',
    },
    attentionScale: 1,
    activation: readActivation(config, 'hidden_activation', 'gelu_pytorch_tanh'),
    embeddingFactor: rootFactor(sizes.hiddenSize),
    logitCap: readCap(config, 'final_logit_softcapping', null),
  };
}

function refuseWhatIsNotBuilt(config: ConfigReader): void {
  refuseQuantization(config);
  // Texts look back only with both.
  config.only('use_bidirectional_attention', ['vision', false]);
  config.only('enable_moe_block', [false]);
  config.absent('rope_scaling');
}

/** Off where nothing is said. */
function readLayerInputs(
  config: ConfigReader,
  vocabularySize: number,
  { isPlain }: Gemma4Class,
): LayerInputs | null {
  const key = 'hidden_size_per_layer_input';
  if (isPlain) config.only(key, [0]);
  const width = config.positiveInteger(key, 0, { least: 0 });
  if (width === 0) return null;
  const entriesKey = 'vocab_size_per_layer_input';
  const entries = config.positiveInteger(entriesKey, classSizes.vocabularySize);
  if (entries < vocabularySize)
    throw config.unsupported(entriesKey, `only vocab_size ${vocabularySize} or more`);
  return { entries, width };
}

/** By type of layer: what counts where nothing is said. */
const ropeDefaults = Object.freeze({
  full_attention: { rope_type: 'proportional', rope_theta: 1e6, partial_rotary_factor: 0.25 },
  sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
});

const ropeTypes = Object.freeze({
  default: 'default',
  linear: 'linear',
  proportional: 'proportional',
} as const);

function ropesOf(
  config: ConfigReader,
  { layers, maxPositions }: Pick<Gemma4Shape, 'layers' | 'maxPositions'>,
): Gemma4Shape['ropes'] {
  const given = config.nested('rope_parameters');
  const types = [...new Map(layers.map((layer) => [layer.type, layer])).values()];
  return new Map(
    types.map(({ type, headDim }) => {
      const said = given.has(type) ? given.get(type) : ropeDefaults[type];
      const parameters = Object.fromEntries(given.keys().map((key) => [key, given.get(key)]));
      const own = config.with({ rope_parameters: { ...parameters, [type]: said } });
      const theta = readTheta(config, ropeDefaults[type].rope_theta);
      return [type, readLayerRope(own, type, { headDim, maxPositions, theta, types: ropeTypes })];
    }),
  );
}
