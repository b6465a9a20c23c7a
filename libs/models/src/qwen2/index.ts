import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import { switchedWindows } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** Qwen2 and Qwen2.5: Llama's layout with biases on q, k and v. */
export const qwen2: DecoderFamily = {
  name: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],

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
