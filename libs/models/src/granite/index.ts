import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import { equalWindows } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** Granite 3: Llama's layout with four factors. */
export const granite: DecoderFamily = {
  name: 'granite',
  architectures: ['GraniteForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    const sizes = readSizes(config, { maxPositions: 2048, epsilon: 1e-6 });
    const windows = equalWindows(config, readLayerCount(config));
    const attentionBias = config.boolean('attention_bias', false);
    const embeddingFactor = readFactor(config, 'embedding_multiplier');
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(windows, readRope(config, { ...sizes, theta: 10_000 })),
      family: 'granite',
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: attentionBias, output: attentionBias, mlp: config.boolean('mlp_bias', false) },
      attentionScale: readFactor(config, 'attention_multiplier'),
      activation: readActivation(config, 'hidden_act', 'silu'),
      embeddingFactor: () => embeddingFactor,
      residualFactor: readFactor(config, 'residual_multiplier'),
      logitFactor: 1 / readFactor(config, 'logits_scaling'),
    };
  },
};

function readFactor(config: ConfigReader, key: string): number {
  return config.number(key, 1, { least: 1e-6, most: 1e6 });
}
