import type { ConfigReader } from '../config.js';
import type { DecoderShape, RopeSpec } from '../decoder-shape.js';
import { chosenRope, positionBounds, readRope } from '../rope/index.js';
import type { SizeDefaults } from '../sizes.js';

const { fround } = Math;

export const ministral3Defaults: SizeDefaults = {
  maxPositions: 262_144,
  epsilon: 1e-5,
  headDim: 128,
  kvHeads: 8,
};

const betaKey = 'llama_4_scaling_beta';

/** What transformers' class takes where a config has neither form of rotary parameters. */
const classRope = Object.freeze({
  type: 'yarn',
  rope_theta: 1e6,
  factor: 16,
  original_max_position_embeddings: 16_384,
  beta_fast: 32,
  beta_slow: 1,
  mscale_all_dim: 1,
  mscale: 1,
  [betaKey]: 0.1,
});

/**
 * Ministral 3's layers: after its rotation, a query at position p is multiplied by
 * 1 + beta · ln(1 + ⌊p / L⌋), L being the positions of the first training.
 */
export function ministral3Layers(
  given: ConfigReader,
  model: { readonly headDim: number; readonly maxPositions: number },
  windows: readonly (number | null)[],
): Pick<DecoderShape, 'layers' | 'ropes'> {
  const config = given.has('rope_parameters')
    ? given
    : given.with({ rope_parameters: given.has('rope_scaling') ? null : classRope });
  const key = readRope(config, { ...model, theta: 10_000, reads: betaKey });
  const query = scaledQueries(key, queryFactor(config, model.maxPositions));
  return {
    layers: windows.map((window) => ({ rope: { query: 'query', key: 'key' }, window })),
    ropes: new Map([
      ['key', key],
      ['query', query],
    ]),
  };
}

function scaledQueries(rope: RopeSpec, positionFactor: (position: number) => number): RopeSpec {
  return {
    ...rope,
    frequencies: (length) => ({ ...rope.frequencies(length), positionFactor }),
  };
}

/** In float32, as transformers has it. */
function queryFactor(config: ConfigReader, maxPositions: number): (position: number) => number {
  const originalKey = 'original_max_position_embeddings';
  const rope = chosenRope(config);
  const beta = rope.number(betaKey, undefined, { most: 1e3 });
  const place = config.has(originalKey) ? config : rope;
  const original = place.positiveInteger(originalKey, maxPositions, positionBounds);
  return (position) => {
    const turns = Math.floor(fround(position / original));
    return fround(1 + fround(fround(beta) * fround(Math.log(1 + turns))));
  };
}
