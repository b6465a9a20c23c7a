import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeSafetensors, type SafetensorsEntry } from '@emloc/checkpoint';
import { fluxLayouts, type ModelLayout } from '@emloc/models';

const [promptWidth, pooledWidth] = [12, 10];

/** A model that makes pictures, with a double and a single block. */
const configs = {
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

/** Writes the folder of a model that makes pictures, all of whose weights are 0. */
export async function writeFluxFolder(folder: string): Promise<void> {
  const { transformer, clip, t5, vaeEncoder, vaeDecoder } = fluxLayouts(configs);
  const write = (file: string, value: object): Promise<void> =>
    writeIn(join(folder, file), (path) => writeFile(path, JSON.stringify(value)));
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
    await writeSafetensors(join(folder, name, `${stem}.safetensors`), blank(layouts), {});
  }
}

async function writeIn(path: string, write: (path: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await write(path);
}

function blank(layouts: readonly ModelLayout[]): SafetensorsEntry[] {
  const tensors = layouts.flatMap(({ pages }) => pages.flatMap((page) => page.tensors));
  const named = new Map(
    tensors.map(({ checkpointName: name, shape, storedShape = shape }) => [name, storedShape]),
  );
  return [...named].map(([name, shape]) => ({
    name,
    shape,
    dtype: 'float32',
    data: () => new Uint8Array(4 * shape.reduce((count, size) => count * size, 1)),
  }));
}
