import type { ConfigReader } from '../config.js';
import { ModelError } from '../errors.js';
import type { ModelFamily } from '../family.js';
import { plainDecoder } from '../plain-decoder.js';
import { ropeTheta } from '../rope-config.js';

/** Qwen2 and Qwen2.5: Llama's layout with biases on q, k and v. */
export const qwen2: ModelFamily = {
  name: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],

  shape(config: ConfigReader) {
    config.only('hidden_act', ['silu', 'swish']);
    config.absent('quantization_config');
    refuseSlidingWindow(config);
    return plainDecoder(config, {
      family: 'qwen2',
      maxPositions: 32768,
      theta: ropeTheta(config, 10000),
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
