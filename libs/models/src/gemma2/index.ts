import { ropedLayers } from '../common.js';
import type { DecoderFamily } from '../decoder-family.js';
import { gemmaDecoder, readCap } from '../gemma.js';
import { readLayerTypes, readWindow, windowsOf } from '../layer-types.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** Gemma 2: norms before and after each branch, every other layer with a window, capped scores. */
export const gemma2: DecoderFamily = {
  name: 'gemma2',
  architectures: ['Gemma2ForCausalLM'],

  shape(config) {
    const sizes = readSizes(config, {
      maxPositions: 8192,
      epsilon: 1e-6,
      headDim: 256,
      kvHeads: 4,
    });
    const types = readLayerTypes(config, readLayerCount(config), (layer) =>
      layer % 2 === 0 ? 'sliding_attention' : 'full_attention',
    );
    const windows = windowsOf(config, types, readWindow(config, 4096));
    return {
      ...gemmaDecoder(config, sizes),
      ...sizes,
      ...ropedLayers(windows, readRope(config, { ...sizes, theta: 10_000 })),
      family: 'gemma2',
      scoreCap: readCap(config, 'attn_logit_softcapping', 50),
      logitCap: readCap(config, 'final_logit_softcapping', 30),
    };
  },
};
