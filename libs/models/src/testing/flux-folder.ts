import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeSafetensors, type SafetensorsEntry } from '@emloc/checkpoint';

import { fluxLayouts, type FluxConfigs } from '../flux/components.js';
import type { ModelLayout } from '../layout.js';

const [promptWidth, pooledWidth] = [12, 10];

const smallest: FluxConfigs = {
  transformer: {
    ...{ num_layers: 1, num_single_layers: 1, num_attention_heads: 2, attention_head_dim: 8 },
    ...{ axes_dims_rope: [2, 2, 4], in_channels: 16, patch_size: 1 },
    ...{ joint_attention_dim: promptWidth, pooled_projection_dim: pooledWidth },
    ...{ guidance_embeds: true, _class_name: 'FluxTransformer2DModel' },
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
};

/** Configs of a model that makes pictures, as small as it can be but for these values. */
export function fluxConfigs(changes: Partial<FluxConfigs> = {}): FluxConfigs {
  const { transformer, clip, t5, vae, scheduler } = smallest;
  return {
    transformer: { ...transformer, ...changes.transformer },
    clip: { ...clip, ...changes.clip },
    t5: { ...t5, ...changes.t5 },
    vae: { ...vae, ...changes.vae },
    scheduler: { ...scheduler, ...changes.scheduler },
  };
}

/**
 * Writes diffusers' folder of such a model, without tokenizers.
 * @param valuesOf float32 values of a tensor; default: zeros
 */
export async function writeFluxFolder(
  folder: string,
  configs = fluxConfigs(),
  valuesOf = (_name: string, shape: readonly number[]): Float32Array =>
    new Float32Array(elements(shape)),
): Promise<void> {
  const { transformer, clip, t5, vaeEncoder, vaeDecoder } = fluxLayouts(configs);
  const write = async (file: string, value: object): Promise<void> => {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), JSON.stringify(value));
  };
  await write('model_index.json', { _class_name: 'FluxPipeline' });
  await write('scheduler/scheduler_config.json', configs.scheduler);
  const components = [
    ['transformer', 'diffusion_pytorch_model', configs.transformer, [transformer]],
    ['text_encoder', 'model', configs.clip, [clip]],
    ['text_encoder_2', 'model', configs.t5, [t5]],
    ['vae', 'diffusion_pytorch_model', configs.vae, [vaeEncoder, vaeDecoder]],
  ] as const;
  for (const [name, stem, config, layouts] of components) {
    await write(`${name}/config.json`, config);
    const path = join(folder, name, `${stem}.safetensors`);
    await writeSafetensors(path, entriesOf(layouts, valuesOf), {});
  }
}

function entriesOf(
  layouts: readonly ModelLayout[],
  valuesOf: (name: string, shape: readonly number[]) => Float32Array,
): SafetensorsEntry[] {
  const tensors = layouts.flatMap(({ pages }) => pages.flatMap((page) => page.tensors));
  const named = new Map(
    tensors.map(({ checkpointName: name, shape, storedShape = shape }) => [name, storedShape]),
  );
  return [...named].map(([name, shape]) => ({
    name,
    shape,
    dtype: 'float32',
    data: () => {
      const { buffer, byteOffset, byteLength } = valuesOf(name, shape);
      return new Uint8Array(buffer, byteOffset, byteLength);
    },
  }));
}

function elements(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}
