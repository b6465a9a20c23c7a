import { plainDecoder, readActivation, refuseQuantization } from './common.js';
import type { ConfigReader } from './config.js';
import type { DecoderShape } from './decoder-shape.js';
import type { Sizes } from './sizes.js';

/** What OLMo 2 and 3 have in common besides their sizes and layers: branches are normed after. */
export function olmoDecoder(config: ConfigReader, { headDim }: Sizes) {
  refuseQuantization(config);
  const attentionBias = config.boolean('attention_bias', false);
  return {
    ...plainDecoder,
    tiedHead: config.boolean('tie_word_embeddings', false),
    bias: { qkv: attentionBias, output: attentionBias, mlp: false },
    qkNorm: 'projection',
    norms: {
      attentionInput: null,
      attentionOutput: 'post_attention_layernorm',
      mlpInput: null,
      mlpOutput: 'post_feedforward_layernorm',
    },
    attentionScale: 1 / Math.sqrt(headDim),
    activation: readActivation(config, 'hidden_act', 'silu'),
  } satisfies Partial<DecoderShape>;
}
