import { ropedLayers } from '../common.js';
import type { DecoderFamily } from '../decoder-family.js';
import { equalWindows } from '../layer-types.js';
import { olmoDecoder } from '../olmo.js';
import { readRope } from '../rope/index.js';
import { readLayerCount, readSizes } from '../sizes.js';

/** OLMo 2: q and k are normed over all heads, branches after and not before. */
export const olmo2: DecoderFamily = {
  name: 'olmo2',
  architectures: ['Olmo2ForCausalLM'],

  shape(config) {
    const sizes = readSizes(config, { maxPositions: 2048, epsilon: 1e-5 });
    const windows = equalWindows(config, readLayerCount(config));
    return {
      ...olmoDecoder(config, sizes),
      ...sizes,
      ...ropedLayers(windows, readRope(config, { ...sizes, theta: 10_000 })),
      family: 'olmo2',
    };
  },
};
