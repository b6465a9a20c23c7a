import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { DecoderFamily } from '../decoder-family.js';
import { equalWindows } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** InternLM3: Llama's layout with flags of its own for biases. */
export const internlm3: DecoderFamily = {
  name: 'internlm3',
  architectures: ['InternLM3ForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    const sizes = readSizes(config, { maxPositions: 32_768, epsilon: 1e-6, kvHeads: 32 });
    const windows = equalWindows(config, readLayerCount(config));
    const bias = config.boolean('bias', false);
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(windows, readRope(config, { ...sizes, theta: 10_000 })),
      family: 'internlm3',
      // The published class leaves it to transformers' default.
      tiedHead: config.boolean('tie_word_embeddings', true),
      bias: { qkv: config.boolean('qkv_bias', false), output: bias, mlp: bias },
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
  },
};
