import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { DecoderFamily } from '../decoder-family.js';
import { equalWindows } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

const ropeTypes = Object.freeze({
  default: 'default',
  linear: 'linear',
  dynamic: 'dynamic',
} as const);

/** InternLM2 and 2.5: Llama's block with other names and q, k, v fused by key head. */
export const internlm2: DecoderFamily = {
  name: 'internlm2',
  architectures: ['InternLM2ForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    config.only('rope_pos_id_version', ['default']);
    const sizes = readSizes(config, { maxPositions: 2048, epsilon: 1e-6 });
    config.only('head_dim', [sizes.hiddenSize / sizes.heads]);
    const rope = readRope(config, { ...sizes, theta: 10_000, types: ropeTypes });
    const bias = config.boolean('bias', true);
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(equalWindows(config, readLayerCount(config)), rope),
      ...naming,
      family: 'internlm2',
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: bias, output: bias, mlp: false },
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
  },
};

const naming = Object.freeze({
  norms: {
    ...plainDecoder.norms,
    attentionInput: 'attention_norm',
    mlpInput: 'ffn_norm',
  },
  linears: {
    qkv: { kind: 'fused', name: 'attention.wqkv', rows: 'grouped' },
    output: 'attention.wo',
    gateUp: { kind: 'separate', gate: 'feed_forward.w1', up: 'feed_forward.w3' },
    down: 'feed_forward.w2',
  },
  names: [
    {
      embedding: 'model.tok_embeddings',
      layers: 'model.layers',
      norm: 'model.norm',
      head: 'output',
    },
  ],
  modules: { layers: 'model.layers', head: 'output' },
} as const);
