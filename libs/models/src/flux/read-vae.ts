import type { ConfigReader } from '../config.js';
import type { DiffusionLimits } from '../diffusion-limits.js';

/** What tells one image encoder and decoder from another. */
export interface VaeShape {
  readonly latentChannels: number;
  /** Channels by how often an image was halved. */
  readonly channels: readonly number[];
  /** Residual parts of each; the decoder has one more. */
  readonly layers: number;
  /** Of every norm. */
  readonly groups: number;
  readonly hasAttention: boolean;
  readonly hasQuantized: boolean;
  readonly hasUnquantized: boolean;
  readonly scaling: DiffusionLimits['scaling'];
}

const mostLayers = 1000;
/** Far above every model's; images would have a pixel left. */
const mostLevels = 12;

/**
 * vae/config.json
 * @throws ModelError naming any key whose value would change the result and is not supported
 */
export function readVae(config: ConfigReader): VaeShape {
  config.only('_class_name', ['AutoencoderKL']);
  for (const key of ['in_channels', 'out_channels']) config.only(key, [3]);
  config.only('act_fn', ['silu', 'swish']);
  for (const key of ['latents_mean', 'latents_std']) config.absent(key);
  const channels = readChannels(config);
  const groups = config.positiveInteger('norm_num_groups', 32);
  if (channels.some((count) => count % groups !== 0))
    throw config.invalid('norm_num_groups', `a divisor of block_out_channels ${channels.join()}`);
  return {
    channels,
    groups,
    latentChannels: config.positiveInteger('latent_channels', 4),
    layers: config.positiveInteger('layers_per_block', 1, { most: mostLayers }),
    hasAttention: config.boolean('mid_block_add_attention', true),
    hasQuantized: config.boolean('use_quant_conv', true),
    hasUnquantized: config.boolean('use_post_quant_conv', true),
    scaling: {
      scale: config.number('scaling_factor', 0.182_15, { least: Number.MIN_VALUE }),
      shift: config.number('shift_factor', 0, { least: -Number.MAX_VALUE }),
    },
  };
}

function readChannels(config: ConfigReader): readonly number[] {
  const key = 'block_out_channels';
  const channels: unknown = config.has(key) ? config.get(key) : [64];
  if (!isCounts(channels)) throw config.invalid(key, `a list of 1 to ${mostLevels} whole numbers`);
  readBlockTypes(config, 'down_block_types', { type: 'DownEncoderBlock2D', channels });
  readBlockTypes(config, 'up_block_types', { type: 'UpDecoderBlock2D', channels });
  return channels;
}

/** Other types have attention, or none of the residual parts. */
function readBlockTypes(
  config: ConfigReader,
  key: string,
  { type, channels }: { readonly type: string; readonly channels: readonly number[] },
): void {
  const types: unknown = config.has(key) ? config.get(key) : [type];
  const isPlain = Array.isArray(types) && types.every((each) => each === type);
  if (!isPlain) throw config.unsupported(key, `only ${type}`);
  if (types.length !== channels.length)
    throw config.invalid(key, `as many as block_out_channels, ${channels.length}`);
}

function isCounts(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= mostLevels &&
    value.every((count) => Number.isSafeInteger(count) && Number(count) > 0)
  );
}
