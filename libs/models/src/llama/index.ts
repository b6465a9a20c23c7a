import type { ConfigReader } from '../config.js';
import type { ModelFamily } from '../family.js';
import { plainDecoder } from '../plain-decoder.js';
import { ropeTheta } from '../rope-config.js';

/** Llama 1 to 3 without rotary scaling, and checkpoints in its layout. */
export const llama: ModelFamily = {
  name: 'llama',
  architectures: ['LlamaForCausalLM'],

  shape(config: ConfigReader) {
    config.only('hidden_act', ['silu', 'swish']);
    config.only('pretraining_tp', [1]);
    config.absent('quantization_config');
    const attentionBias = config.boolean('attention_bias', false);
    return plainDecoder(config, {
      family: 'llama',
      maxPositions: 2048,
      theta: ropeTheta(config, 10000),
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: attentionBias, output: attentionBias, mlp: config.boolean('mlp_bias', false) },
    });
  },
};
