import { CheckpointError } from '../errors.js';
import type { BflTensors } from './bfl-view.js';

/** Channels of a packed latent: 16, of 2 x 2 pixels. */
const latentChannels = 64;
const mlpRatio = 4;

/** A key of diffusers' config.json for a transformer, by the file's shapes. */
type TransformerConfig = Readonly<Record<string, unknown>>;

/**
 * diffusers' config.json for the transformer in a file, by its shapes. The axes of the rotary
 * embedding are in no shape: those of FLUX.1, in proportion where heads have another width.
 * @throws CheckpointError CHECKPOINT_UNSUPPORTED_FORMAT for variants that take other inputs,
 * CHECKPOINT_TENSOR_MISMATCH for shapes that contradict each other
 */
export function bflConfig({ file, tensors, width, blocks }: BflTensors): TransformerConfig {
  const extent = (name: string, dimension: number) => tensors.get(name)?.shape[dimension] ?? 0;
  const inChannels = extent('img_in.weight', 1);
  const outChannels = extent('final_layer.linear.weight', 0);
  if (inChannels !== latentChannels || outChannels !== latentChannels) {
    throw new CheckpointError(
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      `${file.path} takes ${inChannels} channels and gives ${outChannels}; supported are ${latentChannels} and ${latentChannels}: FLUX.1 dev and schnell, not their Fill, Control and other variants`,
    );
  }
  const headWidth = extent('double_blocks.0.img_attn.norm.query_norm.scale', 0);
  const mlpWidth = extent('double_blocks.0.img_mlp.0.weight', 0);
  if (width % headWidth !== 0 || headWidth % 2 !== 0 || mlpWidth !== mlpRatio * width) {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR_MISMATCH',
      `${file.path} has a width of ${width}, heads of ${headWidth} and ${mlpWidth} in feed-forward; a width is a multiple of an even head's, and feed-forward ${mlpRatio} times the width`,
    );
  }
  return {
    _class_name: 'FluxTransformer2DModel',
    attention_head_dim: headWidth,
    axes_dims_rope: axesOf(headWidth),
    guidance_embeds: tensors.has('guidance_in.in_layer.weight'),
    in_channels: inChannels,
    joint_attention_dim: extent('txt_in.weight', 1),
    num_attention_heads: width / headWidth,
    num_layers: blocks.double,
    num_single_layers: blocks.single,
    out_channels: null,
    patch_size: 1,
    pooled_projection_dim: extent('vector_in.in_layer.weight', 1),
  };
}

/** Of 128: 16 for the text's index, 56 each for row and column; all are even. */
function axesOf(headWidth: number): readonly number[] {
  const each = 2 * Math.floor((headWidth * 56) / 128 / 2);
  return [headWidth - 2 * each, each, each];
}
