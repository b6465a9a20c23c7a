import { refuseQuantization } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { TransformerShape } from './shape.js';

/** Far above every model's. */
const mostBlocks = 10_000;
const mostHeads = 2 ** 16;
/** A position has the sequence's number, which is 0, its row and its column. */
const axisCount = 3;

/** Columns of the packed latent in variants that are given more than a noisy latent. */
const variants: Readonly<Record<number, string>> = Object.freeze({
  128: 'FLUX.1 Depth and Canny (Control)',
  384: 'FLUX.1 Fill',
});

/**
 * transformer/config.json
 * @throws ModelError naming any key whose value would change the result and is not supported
 */
export function readTransformer(config: ConfigReader): TransformerShape {
  refuseQuantization(config);
  config.only('_class_name', ['FluxTransformer2DModel']);
  config.only('patch_size', [1]);
  const headDim = config.positiveInteger('attention_head_dim', 128);
  const heads = config.positiveInteger('num_attention_heads', 24, { most: mostHeads });
  const inChannels = config.positiveInteger('in_channels', 64);
  refuseVariants(config, inChannels);
  const count = { least: 0, most: mostBlocks };
  return {
    heads,
    headDim,
    width: heads * headDim,
    inChannels,
    doubleBlocks: config.positiveInteger('num_layers', 19, count),
    singleBlocks: config.positiveInteger('num_single_layers', 38, count),
    promptWidth: config.positiveInteger('joint_attention_dim', 4096),
    pooledWidth: config.positiveInteger('pooled_projection_dim', 768),
    hasGuidance: config.boolean('guidance_embeds', false),
    ropeAxes: readAxes(config, headDim),
  };
}

function refuseVariants(config: ConfigReader, inChannels: number): void {
  const outChannels = config.positiveInteger('out_channels', inChannels);
  const variant = variants[inChannels];
  if (outChannels === inChannels && variant === undefined) return;
  throw config.unsupported(
    'in_channels',
    `${variant ?? `out_channels is ${outChannels}: a variant that is given more than a noisy latent`}; only FLUX.1-dev, FLUX.1-schnell and models of their kind`,
  );
}

function readAxes(config: ConfigReader, headDim: number): readonly number[] {
  const key = 'axes_dims_rope';
  const axes: unknown = config.has(key) ? config.get(key) : [16, 56, 56];
  if (!isAxes(axes)) throw config.invalid(key, `a list of ${axisCount} even numbers above 0`);
  const sum = axes.reduce((total, axis) => total + axis, 0);
  if (sum !== headDim) throw config.invalid(key, `together attention_head_dim, ${headDim}`);
  return axes;
}

function isAxes(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length === axisCount &&
    value.every((axis) => Number.isInteger(axis) && Number(axis) > 0 && Number(axis) % 2 === 0)
  );
}
