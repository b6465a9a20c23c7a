import {
  add,
  attention,
  convolution,
  frozenLinear,
  groupNorm,
  ProgramBuilder,
  type Program,
} from '@emloc/autograd';
import { at, last } from '@emloc/checked';

import { layoutFrom, type ModelLayout } from '../layout.js';
import { imageChannels, pixelRows, encoderStreams as streams } from './encoder-streams.js';
import type { VaeShape } from './read-vae.js';

type Value = ReturnType<ProgramBuilder['value']>;

/** Of every norm. */
const epsilon = 1e-6;

/** The encoder: `image` to `moments`. */
export function vaeEncoderLayout(shape: VaeShape): ModelLayout {
  return oneBlock('encoder', encoderProgram(shape));
}

/** The decoder: `latents` to `image`. */
export function vaeDecoderLayout(shape: VaeShape): ModelLayout {
  return oneBlock('decoder', decoderProgram(shape));
}

/** One block: what passes between two parts of it is far larger than their weights. */
function oneBlock(part: 'encoder' | 'decoder', program: Program): ModelLayout {
  return layoutFrom({
    family: 'flux',
    ropes: new Map(),
    numbered: [],
    others: { repeated: [], within: part },
    text: null,
    images: null,
    diffusion: null,
    blocks: [
      {
        name: `the image ${part}`,
        path: part,
        page: part,
        program,
        checkpointName: (name) => (isOutside(name) ? name : `${part}.${name}`),
      },
    ],
  });
}

/** Between the halves: products of a pixel's channels alone. */
const [quantized, unquantized] = ['quant_conv', 'post_quant_conv'];

function isOutside(parameter: string): boolean {
  return [quantized, unquantized].some((name) => parameter.startsWith(`${name}.`));
}

function encoderProgram(shape: VaeShape): Program {
  const { channels, layers, latentChannels } = shape;
  const block = new ProgramBuilder();
  const parts = new Parts(block, shape);
  const image = block.input(streams.image, imageChannels, pixelRows(0));
  let x = convolution(block, image, {
    name: 'conv_in',
    outChannels: at(channels, 0),
    rows: pixelRows(0),
  });
  for (const [level, outChannels] of channels.entries()) {
    const path = `down_blocks.${level}`;
    for (let layer = 0; layer < layers; layer += 1)
      x = parts.residual(x, `${path}.resnets.${layer}`, outChannels);
    if (level === channels.length - 1) continue;
    const name = `${path}.downsamplers.0.conv`;
    x = convolution(block, x, { name, outChannels, stride: 2, rows: pixelRows(level + 1) });
  }
  const moments = parts.out(parts.middle(x), 2 * latentChannels);
  return block.build({
    [streams.moments]: shape.hasQuantized
      ? parts.pixelwise(moments, quantized, 2 * latentChannels)
      : moments,
  });
}

function decoderProgram(shape: VaeShape): Program {
  const { channels, layers, latentChannels } = shape;
  const block = new ProgramBuilder();
  const parts = new Parts(block, shape);
  const lowest = channels.length - 1;
  const latents = block.input(streams.latents, latentChannels, pixelRows(lowest));
  const first = convolution(
    block,
    shape.hasUnquantized ? parts.pixelwise(latents, unquantized, latentChannels) : latents,
    { name: 'conv_in', outChannels: last(channels), rows: pixelRows(lowest) },
  );
  let x = parts.middle(first);
  for (const [index, outChannels] of [...channels].reverse().entries()) {
    const path = `up_blocks.${index}`;
    for (let layer = 0; layer <= layers; layer += 1)
      x = parts.residual(x, `${path}.resnets.${layer}`, outChannels);
    if (index === lowest) continue;
    const name = `${path}.upsamplers.0.conv`;
    const rows = pixelRows(lowest - index - 1);
    x = convolution(block, x, { name, outChannels, upsample: 2, rows });
  }
  return block.build({ [streams.image]: parts.out(x, imageChannels) });
}

/** What encoder and decoder are made of. */
class Parts {
  constructor(
    private readonly block: ProgramBuilder,
    private readonly shape: VaeShape,
  ) {}

  /** Two convolutions, each behind a norm, added to what comes in. */
  residual(x: Value, path: string, outChannels: number): Value {
    const { block } = this;
    const inner = this.#convolved(this.#active(x, `${path}.norm1`), `${path}.conv1`, outChannels);
    const out = this.#convolved(this.#active(inner, `${path}.norm2`), `${path}.conv2`, outChannels);
    const same =
      x.width === outChannels ? x : this.pixelwise(x, `${path}.conv_shortcut`, outChannels);
    return add(block, same, out);
  }

  /** Every pixel sees all others, between two residual parts. */
  middle(x: Value): Value {
    const { width } = x;
    const before = this.residual(x, 'mid_block.resnets.0', width);
    const seen = this.shape.hasAttention ? this.#attended(before) : before;
    return this.residual(seen, 'mid_block.resnets.1', width);
  }

  out(x: Value, outChannels: number): Value {
    return this.#convolved(this.#active(x, 'conv_norm_out'), 'conv_out', outChannels);
  }

  /** A convolution of single pixels. */
  pixelwise(x: Value, name: string, outFeatures: number): Value {
    const storedShape = [outFeatures, x.width, 1, 1];
    return frozenLinear(this.block, x, { name, outFeatures, storedShape });
  }

  #attended(x: Value): Value {
    const { block } = this;
    const path = 'mid_block.attentions.0';
    const { width } = x;
    const normed = this.#norm(x, `${path}.group_norm`);
    const apply = (value: Value, name: string): Value =>
      frozenLinear(block, value, {
        name: `${path}.${name}`,
        outFeatures: width,
        storedShape: [width, width],
      });
    const seen = attention(block, {
      q: apply(normed, 'to_q'),
      k: apply(normed, 'to_k'),
      v: apply(normed, 'to_v'),
      heads: 1,
      kvHeads: 1,
      scale: 1 / Math.sqrt(width),
      mask: { kind: 'none' },
    });
    return add(block, x, apply(seen, 'to_out.0'));
  }

  #convolved(x: Value, name: string, outChannels: number): Value {
    return convolution(this.block, x, { name, outChannels, rows: x.rows });
  }

  #active(x: Value, name: string): Value {
    return this.#norm(x, name, 'silu');
  }

  #norm(x: Value, name: string, active?: 'silu'): Value {
    const { groups } = this.shape;
    return groupNorm(this.block, x, {
      groups,
      epsilon,
      weight: `${name}.weight`,
      bias: `${name}.bias`,
      activation: active,
    });
  }
}
