import type { ConfigReader } from './config.js';
import type { DecoderLayer, DecoderShape, RopeSpec } from './decoder-shape.js';
import type { Sizes } from './sizes.js';

/** Refuses what changes every family's result. */
export function refuseQuantization(config: ConfigReader): void {
  config.absent('quantization_config');
}

/** transformers' names of activations. */
const activations: Readonly<Record<string, DecoderShape['activation']>> = Object.freeze({
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_pytorch_tanh: 'geluTanh',
  gelu_python_tanh: 'geluTanh',
  gelu_new: 'geluTanh',
  gelu_fast: 'geluTanh',
});

export function readActivation(
  config: ConfigReader,
  key: 'hidden_act' | 'hidden_activation' | 'projector_hidden_act',
  fallback: keyof typeof activations,
): DecoderShape['activation'] {
  const name = config.has(key) ? config.get(key) : fallback;
  const known = Object.entries(activations).find(([each]) => each === name);
  if (known === undefined)
    throw config.unsupported(key, `only ${Object.keys(activations).join(', ')}`);
  return known[1];
}

/** What families differ in besides sizes, layers and what every config says. */
type Knobs = Omit<
  DecoderShape,
  keyof Sizes | 'family' | 'layers' | 'ropes' | 'tiedHead' | 'attentionScale' | 'activation'
>;

/** Llama's block and names without any family's particulars. */
export const plainDecoder: Knobs = Object.freeze<Knobs>({
  qkNorm: 'none',
  attentionGate: false,
  normOffset: 0,
  norms: {
    attentionInput: 'input_layernorm',
    attentionOutput: null,
    mlpInput: 'post_attention_layernorm',
    mlpOutput: null,
  },
  bias: { qkv: false, output: false, mlp: false },
  scoreCap: null,
  linears: {
    qkv: {
      kind: 'separate',
      q: 'self_attn.q_proj',
      k: 'self_attn.k_proj',
      v: 'self_attn.v_proj',
    },
    output: 'self_attn.o_proj',
    gateUp: { kind: 'separate', gate: 'mlp.gate_proj', up: 'mlp.up_proj' },
    down: 'mlp.down_proj',
  },
  onlyWhenNamed: [],
  embeddingFactor: () => 1,
  residualFactor: 1,
  logitFactor: 1,
  logitCap: null,
  names: [
    {
      embedding: 'model.embed_tokens',
      layers: 'model.layers',
      norm: 'model.norm',
      head: 'lm_head',
    },
  ],
  ignored: [],
  modules: { layers: 'model.layers', head: 'lm_head' },
});

/** A language model within a wrapper: where its checkpoints and transformers' classes have it. */
export const wrappedNames: Pick<DecoderShape, 'names' | 'modules'> = Object.freeze({
  names: [
    {
      embedding: 'model.language_model.embed_tokens',
      layers: 'model.language_model.layers',
      norm: 'model.language_model.norm',
      head: 'lm_head',
      within: 'model.language_model',
    },
    {
      embedding: 'language_model.model.embed_tokens',
      layers: 'language_model.model.layers',
      norm: 'language_model.model.norm',
      head: 'language_model.lm_head',
      within: 'language_model',
    },
  ],
  modules: { layers: 'model.language_model.layers', head: 'lm_head' },
});

/** The name of the rotary table where a model has only one. */
const sharedRope = 'shared';

/** Layers that share a rotary table, by their windows. */
export function ropedLayers(
  windows: readonly (number | null)[],
  rope: RopeSpec,
): Pick<DecoderShape, 'layers' | 'ropes'> {
  return {
    layers: windows.map((window) => ({ rope: bothRopes(sharedRope), window })),
    ropes: new Map([[sharedRope, rope]]),
  };
}

/** One table for queries and keys. */
export function bothRopes(name: string): NonNullable<DecoderLayer['rope']> {
  return { query: name, key: name };
}
