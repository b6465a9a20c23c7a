import type { ConfigReader } from './config.js';
import type { DecoderShape, RopeSpec } from './decoder-shape.js';

/** Far above every model's. */
const mostBlocks = 10_000;
const mostHeads = 2 ** 16;
const mostPositions = 2 ** 31 - 1;

interface PlainDecoder extends Pick<DecoderShape, 'family' | 'tiedHead' | 'bias'> {
  readonly maxPositions: number;
  readonly theta: number;
}

/** A shape with Llama's block and names, from the keys that all its kin share. */
export function plainDecoder(config: ConfigReader, given: PlainDecoder): DecoderShape {
  const { theta, maxPositions, ...own } = given;
  const hiddenSize = config.positiveInteger('hidden_size');
  const heads = config.positiveInteger('num_attention_heads', undefined, { most: mostHeads });
  if (!config.has('head_dim') && hiddenSize % heads !== 0)
    throw config.invalid(
      'head_dim',
      `given: hidden_size ${hiddenSize} over ${heads} heads is none`,
    );
  const headDim = config.positiveInteger('head_dim', hiddenSize / heads);
  const blocks = config.positiveInteger('num_hidden_layers', undefined, { most: mostBlocks });
  return {
    ...own,
    hiddenSize,
    intermediateSize: config.positiveInteger('intermediate_size'),
    vocabularySize: config.positiveInteger('vocab_size'),
    maxPositions: config.positiveInteger('max_position_embeddings', maxPositions, {
      most: mostPositions,
    }),
    heads,
    kvHeads: config.positiveInteger('num_key_value_heads', heads, { most: mostHeads }),
    headDim,
    epsilon: config.number('rms_norm_eps', 1e-6, { least: Number.MIN_VALUE, most: 1 }),
    layers: Array.from({ length: blocks }, () => ({
      rope: { query: 'default', key: 'default' },
      window: null,
    })),
    ropes: new Map([['default', plainRope(theta, headDim)]]),
    qkNorm: 'none',
    normOffset: 0,
    norms: {
      attentionInput: 'input_layernorm',
      attentionOutput: null,
      mlpInput: 'post_attention_layernorm',
      mlpOutput: null,
    },
    attentionScale: 1 / Math.sqrt(headDim),
    scoreCap: null,
    activation: 'silu',
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
    embeddingFactor: 1,
    residualFactor: 1,
    logitFactor: 1,
    logitCap: null,
    names: {
      embedding: 'model.embed_tokens',
      layers: 'model.layers',
      norm: 'model.norm',
      head: 'lm_head',
    },
  };
}

function plainRope(theta: number, headDim: number): RopeSpec {
  const inverse = Float32Array.from(
    { length: headDim / 2 },
    (_, i) => 1 / Math.fround(theta ** Math.fround((2 * i) / headDim)),
  );
  return { rotaryDim: headDim, pairs: 'halves', frequencies: () => ({ inverse, factor: 1 }) };
}
