import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { DecoderFamily } from '../decoder-family.js';
import { equalWindows } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** GLM-4 0414: norms before and after each branch, half of a head rotates, by adjacent pairs. */
export const glm4: DecoderFamily = {
  name: 'glm4',
  architectures: ['Glm4ForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    const sizes = readSizes(config, {
      maxPositions: 131_072,
      epsilon: 1.5625e-7,
      headDim: 128,
      kvHeads: 2,
    });
    const rope = readRope(config, { ...sizes, theta: 10_000, partial: 0.5, pairs: 'adjacent' });
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(equalWindows(config, readLayerCount(config)), rope),
      family: 'glm4',
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: config.boolean('attention_bias', true), output: false, mlp: false },
      norms: {
        attentionInput: 'input_layernorm',
        attentionOutput: 'post_self_attn_layernorm',
        mlpInput: 'post_attention_layernorm',
        mlpOutput: 'post_mlp_layernorm',
      },
      linears: {
        ...plainDecoder.linears,
        gateUp: { kind: 'fused', name: 'mlp.gate_up_proj' },
      },
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
  },
};
