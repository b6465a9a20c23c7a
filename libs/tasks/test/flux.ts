import { at } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import { createRandom, fillNormal } from '@emloc/dataset';
import { Device, MemoryBudget, type Backend } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import type { PagedModel } from '@emloc/finetune';
import { encoderStreams, fluxLayouts, type ModelLayout } from '@emloc/models';
import { minimumDeviceBytes, openPager, type LayerSource } from '@emloc/weight-pager';

import type { Picture } from '../src/diffusion/draws.js';
import type { KeptStreams } from '../src/diffusion/kept-streams.js';

const [promptWidth, pooledWidth] = [12, 10];

/** A transformer of a double and a single block, prompts of so many tokens. */
export function fluxFixture({ hasGuidance = true, promptTokens = 5 } = {}) {
  const { transformer, limits } = fluxLayouts({
    transformer: {
      ...{ num_layers: 1, num_single_layers: 1, num_attention_heads: 2, attention_head_dim: 8 },
      ...{ axes_dims_rope: [2, 2, 4], in_channels: 16, patch_size: 1 },
      ...{ joint_attention_dim: promptWidth, pooled_projection_dim: pooledWidth },
      ...{ guidance_embeds: hasGuidance, _class_name: 'FluxTransformer2DModel' },
    },
    clip: {
      ...{ hidden_size: pooledWidth, num_hidden_layers: 1, num_attention_heads: 2 },
      ...{ intermediate_size: 8, vocab_size: 50, max_position_embeddings: 8 },
      ...{ hidden_act: 'quick_gelu', layer_norm_eps: 1e-5, eos_token_id: 2 },
    },
    t5: {
      ...{ d_model: promptWidth, d_kv: 4, d_ff: 8, num_heads: 3, num_layers: 1, vocab_size: 50 },
      ...{ feed_forward_proj: 'gated-gelu', relative_attention_num_buckets: 8 },
    },
    vae: {
      ...{ latent_channels: 4, block_out_channels: [4, 4], layers_per_block: 1 },
      ...{ norm_num_groups: 2, scaling_factor: 0.5, shift_factor: 0.1 },
      ...{ use_quant_conv: false, use_post_quant_conv: false },
      down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
      up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    },
    scheduler: {
      _class_name: 'FlowMatchEulerDiscreteScheduler',
      ...{ use_dynamic_shifting: true, shift: 3 },
    },
  });
  return { layout: transformer, limits: { ...limits, promptTokens } };
}

/** Weights from a seed, made where they are read. */
export function randomSource({ pages }: ModelLayout): LayerSource {
  return {
    layers: pages.map(({ name, tensors }) => ({
      name,
      tensors: tensors.map((tensor) => ({
        name: tensor.name,
        shape: tensor.shape,
        dtype: 'float32' as const,
      })),
    })),
    read: (layer, tensor, destination) => {
      const random = createRandom(1, `${at(pages, layer).name} ${tensor}`);
      const values = fillNormal(random, new Float32Array(destination.byteLength / 4));
      const isNorm = tensor.includes('norm_');
      destination.set(new Uint8Array(values.map((x) => 0.2 * x + (isNorm ? 1 : 0)).buffer));
      return Promise.resolve();
    },
  };
}

/** Pictures of two sizes, the last one of the class. */
export const pictures: readonly Picture[] = [
  { caption: 0, size: { height: 4, width: 6 }, isClass: false },
  { caption: 1, size: { height: 4, width: 4 }, isClass: false },
  { caption: 0, size: { height: 6, width: 4 }, isClass: false },
  { caption: 2, size: { height: 4, width: 4 }, isClass: true },
];

/** What encoders have made of them, and of their captions. */
export const encoded: KeptStreams = {
  read(row, stream) {
    const { height, width } = at(pictures, row).size;
    const counts = new Map([
      [encoderStreams.moments as string, height * width * 8],
      [encoderStreams.prompt, 5 * promptWidth],
      [encoderStreams.pooled, pooledWidth],
    ]);
    const values = new Float32Array(counts.get(stream) ?? 0);
    fillNormal(createRandom(row, stream), values);
    return Promise.resolve({ bytes: new Uint8Array(values.buffer), dtype: 'float32' });
  },
};

/** Runs with a model whose weights are paged through the least room; nothing may be left. */
export async function withModel<T>(
  layout: ModelLayout,
  {
    source = randomSource(layout),
    backend = createCpuBackend(),
  }: { readonly source?: LayerSource; readonly backend?: Backend },
  run: (model: PagedModel) => Promise<T>,
): Promise<T> {
  const device = new Device(backend, new MemoryBudget(2 ** 30));
  const deviceBytes = minimumDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  try {
    return await run({ device, layout, pager });
  } finally {
    await pager.close();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, cpuProfile.reserveBytes]);
    await device.close();
  }
}

/** The adapter's numbers, to compare bits. */
export function numbersOfAdapter({ layers }: LoraAdapter): readonly number[] {
  return [...layers.values()].flatMap(({ a, b }) => [...a, ...b]);
}
