import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { DecoderFamily } from '../decoder-family.js';
import { equalWindows } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** Seed-OSS: Llama's layout with biases on q, k and v, and heads of a size of their own. */
export const seedOss: DecoderFamily = {
  name: 'seed-oss',
  architectures: ['SeedOssForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    config.only('pretraining_tp', [1]);
    const sizes = readSizes(config, {
      maxPositions: 524_288,
      epsilon: 1e-6,
      headDim: 128,
      kvHeads: 8,
    });
    const windows = equalWindows(config, readLayerCount(config));
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(windows, readRope(config, { ...sizes, theta: 10_000 })),
      family: 'seed-oss',
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: {
        qkv: config.boolean('attention_bias', true),
        output: config.boolean('attention_out_bias', false),
        mlp: config.boolean('mlp_bias', false),
      },
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
  },
};
