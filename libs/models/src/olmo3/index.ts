import { bothRopes } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { DecoderFamily } from '../decoder-family.js';
import type { DecoderShape } from '../decoder-shape.js';
import { readLayerTypes, readWindow, windowsOf } from '../layer-types.js';
import { olmoDecoder } from '../olmo.js';
import { readLayerRope, readTheta } from '../rope/index.js';
import { readLayerCount, readSizes, type Sizes } from '../sizes.js';

const classTheta = 500_000;

/** OLMo 3: OLMo 2 with windows in three of four layers, and rope scaling in the others only. */
export const olmo3: DecoderFamily = {
  name: 'olmo3',
  architectures: ['Olmo3ForCausalLM'],

  shape(config) {
    const sizes = readSizes(config, { maxPositions: 2048, epsilon: 1e-5 });
    const types = readLayerTypes(config, readLayerCount(config), (layer) =>
      (layer + 1) % 4 === 0 ? 'full_attention' : 'sliding_attention',
    );
    const windows = windowsOf(config, types, readWindow(config, 4096));
    return {
      ...olmoDecoder(config, sizes),
      ...sizes,
      family: 'olmo3',
      layers: windows.map((window) => ({
        rope: bothRopes(window === null ? 'full_attention' : 'sliding_attention'),
        window,
      })),
      ropes: ropes(config, sizes),
    };
  },
};

/** A base at the top level is of full layers alone in some versions of transformers, not in all. */
function ropes(config: ConfigReader, sizes: Sizes): DecoderShape['ropes'] {
  const theta = readTheta(config, classTheta);
  const sliding = config.nested('rope_parameters').nested('sliding_attention');
  if (theta !== classTheta && !sliding.has('rope_theta'))
    throw config.unsupported(
      'rope_theta',
      `only ${classTheta}, or rope_parameters.sliding_attention.rope_theta beside it`,
    );
  return new Map([
    ['full_attention', readLayerRope(config, 'full_attention', { ...sizes, theta })],
    [
      'sliding_attention',
      readLayerRope(config, 'sliding_attention', { ...sizes, theta: classTheta }),
    ],
  ]);
}
