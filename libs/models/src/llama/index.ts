import type { ConfigReader } from '../config.js';
import { decoderLayout, decoderSizes } from '../decoder.js';
import type { ModelFamily } from '../layout.js';
import { ropeTheta } from '../rope-config.js';

/** Llama 1 to 3 without rotary scaling, and checkpoints in its layout. */
export const llama: ModelFamily = {
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
};
