import type { ConfigReader } from '../config.js';
import { decoderLayout } from '../decoder.js';
import { ModelError } from '../errors.js';
import type { ModelFamily } from '../layout.js';

/** Qwen2 and Qwen2.5: Llama's layout with biases on q, k and v. */
export const qwen2: ModelFamily = {
  name: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],

  layout(config: ConfigReader) {
    config.only('hidden_act', ['silu', 'swish']);
    config.absent('quantization_config');
    refuseSlidingWindow(config);
    const hiddenSize = config.positiveInteger('hidden_size');
    const heads = config.positiveInteger('num_attention_heads');
    return decoderLayout({
      family: 'qwen2',
      hiddenSize,
      intermediateSize: config.positiveInteger('intermediate_size'),
      vocabularySize: config.positiveInteger('vocab_size'),
      blockCount: config.positiveInteger('num_hidden_layers'),
      maxPositions: config.positiveInteger('max_position_embeddings', 32768),
      heads,
      kvHeads: config.positiveInteger('num_key_value_heads', heads),
      headDim: config.positiveInteger('head_dim', hiddenSize / heads),
      epsilon: config.positiveNumber('rms_norm_eps', 1e-6),
      ropeTheta: config.ropeTheta(10000),
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: true, output: false, mlp: false },
    });
  },
};

/** `sliding_window` counts only while `use_sliding_window` is on. */
function refuseSlidingWindow(config: ConfigReader): void {
  config.only('use_sliding_window', [false]);
  const layerTypes = config.get('layer_types');
  if (!Array.isArray(layerTypes)) return;
  const other = layerTypes.find((type) => type !== 'full_attention');
  if (other !== undefined) {
    throw new ModelError(
      'MODEL_UNSUPPORTED_CONFIG',
      `config.json: layer_types has ${JSON.stringify(other)}; only "full_attention" is supported`,
    );
  }
}
