import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { DecoderFamily } from '../decoder-family.js';
import { switchedWindows } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** Qwen3: Llama's layout with norms on each head of q and k. */
export const qwen3: DecoderFamily = {
  name: 'qwen3',
  architectures: ['Qwen3ForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    const sizes = readSizes(config, {
      maxPositions: 32_768,
      epsilon: 1e-6,
      headDim: 128,
      kvHeads: 32,
    });
    const windows = switchedWindows(config, readLayerCount(config));
    const attentionBias = config.boolean('attention_bias', false);
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(windows, readRope(config, { ...sizes, theta: 10_000 })),
      family: 'qwen3',
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: attentionBias, output: attentionBias, mlp: false },
      qkNorm: 'head',
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
  },
};
