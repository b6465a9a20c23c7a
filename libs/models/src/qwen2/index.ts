import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import { decoderLayout, decoderSizes } from '../decoder.js';
import { ModelError } from '../errors.js';
import { switchedWindows } from '../layer-types.js';
import type { ModelFamily } from '../layout.js';
import { ropeTheta } from '../rope-config.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** Qwen2 and Qwen2.5: Llama's layout with biases on q, k and v. */
export const qwen2: ModelFamily & DecoderFamily = {
  name: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],

  layout(config: ConfigReader) {
    config.only('hidden_act', ['silu', 'swish']);
    config.absent('quantization_config');
    refuseSlidingWindow(config);
    return decoderLayout({
      family: 'qwen2',
      ...decoderSizes(config, { maxPositions: 32768 }),
      ropeTheta: ropeTheta(config, 10000),
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: true, output: false, mlp: false },
    });
  },

  shape(config: ConfigReader) {
    refuseQuantization(config);
    config.only('use_mrope', [false]);
    const sizes = readSizes(config, { maxPositions: 32_768, epsilon: 1e-6, kvHeads: 32 });
    const windows = switchedWindows(config, readLayerCount(config));
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(windows, readRope(config, { ...sizes, theta: 10_000 })),
      family: 'qwen2',
      tiedHead: config.boolean('tie_word_embeddings', false),
      bias: { qkv: true, output: false, mlp: false },
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
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
