import { plainDecoder, readActivation, refuseQuantization, ropedLayers } from '../common.js';
import type { DecoderFamily } from '../decoder-family.js';
import { equalWindows, readWindow } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** What Phi-3's configs call its types: its first ones had other names for longrope. */
const ropeTypes = Object.freeze({
  default: 'default',
  longrope: 'longrope',
  su: 'longrope',
  yarn: 'longrope',
} as const);

/** Phi-3, 3.5, 4 and 4-mini: Llama's block with fused projections. */
export const phi3: DecoderFamily = {
  name: 'phi3',
  architectures: ['Phi3ForCausalLM'],

  shape(config) {
    refuseQuantization(config);
    for (const key of ['attention_bias', 'mlp_bias', 'lm_head_bias']) config.only(key, [false]);
    const sizes = readSizes(config, { maxPositions: 4096, epsilon: 1e-5 });
    const rope = readRope(config, {
      ...sizes,
      theta: 10_000,
      partial: 1,
      types: ropeTypes,
      originalPositions: 4096,
    });
    const windows = equalWindows(config, readLayerCount(config), readWindow(config, null));
    return {
      ...plainDecoder,
      ...sizes,
      ...ropedLayers(windows, rope),
      family: 'phi3',
      tiedHead: config.boolean('tie_word_embeddings', false),
      linears: {
        ...plainDecoder.linears,
        qkv: { kind: 'fused', name: 'self_attn.qkv_proj', rows: 'contiguous' },
        gateUp: { kind: 'fused', name: 'mlp.gate_up_proj' },
      },
      attentionScale: 1 / Math.sqrt(sizes.headDim),
      activation: readActivation(config, 'hidden_act', 'silu'),
    };
  },
};
