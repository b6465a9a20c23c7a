import { isObject, type ConfigReader } from './config.js';

/** The largest base that checkpoints have is below 1e11. */
const largestTheta = 1e12;

/** Keys that tell how positions are scaled; the default type has none of them. */
const scalingKeys = [
  'beta_fast',
  'beta_slow',
  'high_freq_factor',
  'long_factor',
  'low_freq_factor',
  'mscale',
  'mscale_all_dim',
  'short_factor',
] as const;

/**
 * The base of the rotary embedding. As transformers has it, `rope_scaling` (before version 5), or
 * else `rope_parameters`, holds everything, and `rope_theta` at the top level is the default of the
 * one within.
 * @throws ModelError for scaling that changes something, by key and value
 */
export function ropeTheta(config: ConfigReader, fallback: number): number {
  config.only('partial_rotary_factor', [1]);
  const top = thetaOf(config, fallback);
  const [scaling, parameters] = [config.nested('rope_scaling'), config.nested('rope_parameters')];
  for (const nested of [scaling, parameters]) assertNeutral(nested);
  const inner = scaling.keys().length > 0 ? scaling : parameters;
  const theta = thetaOf(inner, top);
  if (thetaOf(parameters, theta) !== theta)
    throw parameters.invalid('rope_theta', `${theta}, which counts where there is rope_scaling`);
  return theta;
}

function thetaOf(config: ConfigReader, fallback: number): number {
  return config.number('rope_theta', fallback, { least: 1, most: largestTheta });
}

/** Refuses everything but the default type and linear scaling by 1. */
function assertNeutral(rope: ConfigReader): void {
  const perLayer = rope.keys().find((key) => isObject(rope.get(key)));
  if (perLayer !== undefined) throw rope.unsupported(perLayer, 'only one form for all layers');
  const key = rope.has('rope_type') ? 'rope_type' : 'type';
  rope.only(key, ['default', 'linear']);
  if (rope.get(key) === 'linear' && !rope.has('factor')) throw rope.invalid('factor', 'a number');
  rope.only('factor', [1]);
  rope.only('partial_rotary_factor', [1]);
  rope.only('attention_factor', [1]);
  for (const scalingKey of scalingKeys) rope.absent(scalingKey);
}
