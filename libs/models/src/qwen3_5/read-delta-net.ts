import type { ConfigReader } from '../config.js';
import type { DeltaNetShape } from './delta-net.js';

/** Far above every model's. */
const most = 2 ** 16;
const mostTaps = 64;

/** The `linear_…` keys; where they are absent, what transformers' class has. */
export function readDeltaNet(config: ConfigReader): DeltaNetShape {
  const read = (key: string, fallback: number): number =>
    config.positiveInteger(key, fallback, { most });
  const keyHeads = read('linear_num_key_heads', 16);
  const valueHeads = read('linear_num_value_heads', 32);
  if (valueHeads % keyHeads !== 0)
    throw config.invalid(
      'linear_num_value_heads',
      `a multiple of linear_num_key_heads ${keyHeads}, not ${valueHeads}`,
    );
  return {
    keyHeads,
    valueHeads,
    keyDim: read('linear_key_head_dim', 128),
    valueDim: read('linear_value_head_dim', 128),
    taps: config.positiveInteger('linear_conv_kernel_dim', 4, { most: mostTaps }),
  };
}
