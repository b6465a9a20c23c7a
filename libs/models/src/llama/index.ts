import type { ConfigReader } from '../config.js';
import { decoderLayout } from '../decoder.js';
import type { ModelFamily } from '../layout.js';

/** Llama 1 to 3 without rotary scaling, and checkpoints in its layout. */
export const llama: ModelFamily = {
  name: 'llama',
  architectures: ['LlamaForCausalLM'],

  layout(config: ConfigReader) {
    config.only('hidden_act', ['silu', 'swish']);
    config.only('pretraining_tp', [1]);
    config.absent('quantization_config');
    config.only('partial_rotary_factor', [1]);
    const hiddenSize = config.positiveInteger('hidden_size');
    const heads = config.positiveInteger('num_attention_heads');
    const attentionBias = config.boolean('attention_bias', false);
    return decoderLayout({
      family: 'llama',
      hiddenSize,
      intermediateSize: config.positiveInteger('intermediate_size'),
      vocabularySize: config.positiveInteger('vocab_size'),
      blockCount: config.positiveInteger('num_hidden_layers'),
      maxPositions: config.positiveInteger('max_position_embeddings', 2048),
      heads,
      kvHeads: config.positiveInteger('num_key_value_heads', heads),
      headDim: config.positiveInteger('head_dim', hiddenSize / heads),
      epsilon: config.positiveNumber('rms_norm_eps', 1e-6),
      ropeTheta: config.ropeTheta(10000),
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: attentionBias, output: attentionBias, mlp: config.boolean('mlp_bias', false) },
    });
  },
};
