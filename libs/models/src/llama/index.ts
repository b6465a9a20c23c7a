import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import { decoderLayout, decoderSizes } from '../decoder.js';
import { equalWindows } from '../layer-types.js';
import type { ModelFamily } from '../layout.js';
import { ropeTheta } from '../rope-config.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** Llama 1 to 3 and checkpoints in its layout. */
export const llama: ModelFamily & DecoderFamily = {
  name: 'llama',
  architectures: ['LlamaForCausalLM'],

  layout(config: ConfigReader) {
    config.only('hidden_act', ['silu', 'swish']);
    config.only('pretraining_tp', [1]);
    config.absent('quantization_config');
    const attentionBias = config.boolean('attention_bias', false);
    return decoderLayout({
      family: 'llama',
      ...decoderSizes(config, { maxPositions: 2048 }),
      ropeTheta: ropeTheta(config, 10000),
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: attentionBias, output: attentionBias, mlp: config.boolean('mlp_bias', false) },
    });
  },

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
