import type { HostDType } from '@emloc/device';

import { plainDecoder, readActivation, refuseQuantization } from './common.js';
import type { ConfigReader } from './config.js';
import type { DecoderShape } from './decoder-shape.js';
import type { Sizes } from './sizes.js';

const { fround } = Math;
const capBounds = { least: 1e-3, most: 1e9 };

/** What Gemma 2 and Gemma 3 have in common besides their sizes and layers. */
export function gemmaDecoder(config: ConfigReader, { hiddenSize }: Sizes) {
  refuseQuantization(config);
  config.only('use_bidirectional_attention', [false]);
  const attentionBias = config.boolean('attention_bias', false);
  const scalar = config.number('query_pre_attn_scalar', 256, { least: 1e-6, most: 1e9 });
  return {
    ...plainDecoder,
    tiedHead: config.boolean('tie_word_embeddings', true),
    bias: { qkv: attentionBias, output: attentionBias, mlp: false },
    normOffset: 1,
    norms: {
      attentionInput: 'input_layernorm',
      attentionOutput: 'post_attention_layernorm',
      mlpInput: 'pre_feedforward_layernorm',
      mlpOutput: 'post_feedforward_layernorm',
    },
    attentionScale: 1 / Math.sqrt(scalar),
    // `hidden_act` is another key, which transformers does not read in these families.
    activation: readActivation(config, 'hidden_activation', 'gelu_pytorch_tanh'),
    embeddingFactor: rootFactor(hiddenSize),
  } satisfies Partial<DecoderShape>;
}

/** c of c · tanh(x / c); null: none. */
export function readCap(
  config: ConfigReader,
  key: 'attn_logit_softcapping' | 'final_logit_softcapping',
  fallback: number | null,
): number | null {
  return config.numberOrNull(key, fallback, capBounds);
}

/** √size as a factor on an embedding: rounded to the dtype that its weight has in the run. */
export function rootFactor(size: number): (weight: HostDType) => number {
  return (weight) => rounded(fround(Math.sqrt(size)), weight);
}

/** Bits of a float's significand, the hidden one among them. */
const significandBits: Readonly<Partial<Record<HostDType, number>>> = { bfloat16: 8, float16: 11 };

/** A float32 from 1 on, rounded to the nearest value of a dtype, to even between two. */
function rounded(value: number, dtype: HostDType): number {
  const bits = significandBits[dtype];
  if (bits === undefined) return value;
  const spacing = 2 ** (Math.floor(Math.log2(value)) - (bits - 1));
  // Whole numbers are as far apart as float64 can tell them from 2^52 on.
  return (value / spacing + 2 ** 52 - 2 ** 52) * spacing;
}
