import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromFloat32, writeSafetensors } from '@emloc/checkpoint';
import { createRandom, fillNormal } from '@emloc/dataset';
import { encodePng } from '@emloc/images';
import { fluxLayouts, type ModelLayout } from '@emloc/models';

const tokenizers = new URL('../../dataset/test/goldens/prompts/', import.meta.url);

/** A model of FLUX's kind with random weights, whose prompts have 48 tokens, and pictures. */
export interface PictureWorkspace {
  readonly model: string;
  /** Five pictures of 80 x 64 pixels, without captions. */
  readonly pictures: string;
  /** Where files may be written. */
  readonly outputs: string;
  close(): Promise<void>;
}

export async function openPictureWorkspace({
  hasGuidance = true,
}: { readonly hasGuidance?: boolean } = {}): Promise<PictureWorkspace> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-pictures-'));
  const [model, pictures, outputs] = [
    join(folder, 'model'),
    join(folder, 'pictures'),
    join(folder, 'outputs'),
  ];
  for (const each of [pictures, outputs]) await mkdir(each);
  await writeModel(model, configsOf(hasGuidance));
  for (let index = 0; index < 5; index += 1)
    await writeFile(join(pictures, `${index}.png`), await encodePng(stripes(index)));
  return {
    ...{ model, pictures, outputs },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

type Configs = Parameters<typeof fluxLayouts>[0];

function configsOf(hasGuidance: boolean): Configs {
  return {
    transformer: {
      _class_name: 'FluxTransformer2DModel',
      ...{ patch_size: 1, in_channels: 64, num_layers: 1, num_single_layers: 5 },
      ...{ attention_head_dim: 16, num_attention_heads: 4, axes_dims_rope: [4, 6, 6] },
      ...{ joint_attention_dim: 24, pooled_projection_dim: 32, guidance_embeds: hasGuidance },
    },
    clip: {
      ...{ architectures: ['CLIPTextModel'], vocab_size: 677, hidden_size: 32 },
      ...{ intermediate_size: 48, num_hidden_layers: 1, num_attention_heads: 2 },
      ...{ max_position_embeddings: 77, hidden_act: 'quick_gelu', layer_norm_eps: 1e-5 },
      ...{ bos_token_id: 675, eos_token_id: 676, pad_token_id: 676 },
    },
    t5: {
      ...{ architectures: ['T5EncoderModel'], vocab_size: 256, d_model: 24, d_kv: 8 },
      ...{ d_ff: 40, num_layers: 1, num_heads: 2, feed_forward_proj: 'gated-gelu' },
      ...{ relative_attention_num_buckets: 32, relative_attention_max_distance: 128 },
      ...{ layer_norm_epsilon: 1e-6, pad_token_id: 0, eos_token_id: 1 },
    },
    vae: {
      _class_name: 'AutoencoderKL',
      ...{ in_channels: 3, out_channels: 3, latent_channels: 16, layers_per_block: 1 },
      ...{ block_out_channels: [8, 8, 8, 8], norm_num_groups: 4, act_fn: 'silu' },
      ...{ down_block_types: Array<string>(4).fill('DownEncoderBlock2D') },
      ...{ up_block_types: Array<string>(4).fill('UpDecoderBlock2D') },
      ...{ scaling_factor: 0.3611, shift_factor: 0.1159 },
      ...{ use_quant_conv: false, use_post_quant_conv: false, mid_block_add_attention: true },
    },
    scheduler: {
      _class_name: 'FlowMatchEulerDiscreteScheduler',
      ...{ num_train_timesteps: 1000, shift: 3, use_dynamic_shifting: hasGuidance },
      ...{ base_shift: 0.5, max_shift: 1.15, base_image_seq_len: 256, max_image_seq_len: 4096 },
    },
  };
}

async function writeModel(model: string, configs: Configs): Promise<void> {
  const { transformer, clip, t5, vaeEncoder, vaeDecoder } = fluxLayouts(configs);
  const components: readonly (readonly [string, string, object, readonly ModelLayout[]])[] = [
    ['transformer', 'diffusion_pytorch_model', configs.transformer, [transformer]],
    ['text_encoder', 'model', configs.clip, [clip]],
    ['text_encoder_2', 'model', configs.t5, [t5]],
    ['vae', 'diffusion_pytorch_model', configs.vae, [vaeEncoder, vaeDecoder]],
  ];
  for (const [name, file, config, layouts] of components) {
    await writeJson(join(model, name), 'config.json', config);
    await writeWeights(join(model, name, `${file}.safetensors`), layouts);
  }
  await writeJson(model, 'model_index.json', { _class_name: 'FluxPipeline' });
  await writeJson(join(model, 'scheduler'), 'scheduler_config.json', configs.scheduler);
  await cp(fileURLToPath(new URL('clip', tokenizers)), join(model, 'tokenizer'), recursive);
  await cp(fileURLToPath(new URL('t5', tokenizers)), join(model, 'tokenizer_2'), recursive);
}

const recursive = { recursive: true };

async function writeJson(folder: string, file: string, value: unknown): Promise<void> {
  await mkdir(folder, recursive);
  await writeFile(join(folder, file), JSON.stringify(value));
}

async function writeWeights(path: string, layouts: readonly ModelLayout[]): Promise<void> {
  const tensors = layouts.flatMap(({ pages }) => pages.flatMap((page) => page.tensors));
  const entries = tensors.map(({ checkpointName: name, shape: own, storedShape }) => {
    const shape = storedShape ?? own;
    return { name, shape, dtype: 'float32' as const, data: () => valuesOf(name, shape) };
  });
  await writeSafetensors(path, entries, { format: 'pt' });
}

function valuesOf(name: string, shape: readonly number[]): Uint8Array {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const values = fillNormal(createRandom(1, name), new Float32Array(count));
  const fanIn = shape.length > 1 ? count / (shape[0] ?? 1) : 0;
  return fromFloat32(
    values.map((value) => (fanIn > 0 ? value / Math.sqrt(fanIn) : 1 + 0.1 * value)),
    'float32',
  );
}

function stripes(index: number): { rgb: Uint8Array; width: number; height: number } {
  const [width, height] = [80, 64];
  const rgb = Uint8Array.from({ length: width * height * 3 }, (_, place) => {
    const pixel = Math.floor(place / 3);
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    return ((x + y * (index % 3)) % (8 + index) < 4 ? 220 : 30) + 10 * (place % 3);
  });
  return { rgb, width, height };
}
