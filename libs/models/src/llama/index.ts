import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import { equalWindows } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** Llama 1 to 3 and checkpoints in its layout. */
export const llama: DecoderFamily = {
  name: 'llama',
  architectures: ['LlamaForCausalLM'],

  shape(config: ConfigReader) {
    refuseQuantization(config);
    config.only('pretraining_tp', [1]);
    const sizes = readSizes(config, { maxPositions: 2048, epsilon: 1e-6 });
    const windows = equalWindows(config, readLayerCount(config));
    const attentionBias = config.boolean('attention_bias', false);
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(windows, readRope(config, { ...sizes, theta: 10_000 })),
      family: 'llama',
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: attentionBias, output: attentionBias, mlp: config.boolean('mlp_bias', false) },
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
  },
};
