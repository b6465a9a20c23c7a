import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSafetensors, type SafetensorsEntry } from '@emloc/checkpoint';
import { createRandom, fillNormal } from '@emloc/dataset';
import { encodePng } from '@emloc/images';
import { fluxLayouts, type FluxConfigs, type ModelLayout } from '@emloc/models';

import { resolveTuneOptions, type TuneOptions } from '../src/options/resolve.js';

const prompts = fileURLToPath(new URL('../../dataset/test/goldens/prompts', import.meta.url));
const [promptWidth, pooledWidth] = [24, 16];

/** A model that makes pictures, with two double and two single blocks. */
const usualConfigs: FluxConfigs = {
  transformer: {
    ...{ num_layers: 2, num_single_layers: 2, num_attention_heads: 2, attention_head_dim: 16 },
    ...{ axes_dims_rope: [4, 6, 6], in_channels: 16, patch_size: 1 },
    ...{ joint_attention_dim: promptWidth, pooled_projection_dim: pooledWidth },
    ...{ guidance_embeds: true, _class_name: 'FluxTransformer2DModel' },
  },
  clip: {
    ...{ hidden_size: pooledWidth, num_hidden_layers: 1, num_attention_heads: 2 },
    ...{ intermediate_size: 32, vocab_size: 677, max_position_embeddings: 77 },
    ...{ hidden_act: 'quick_gelu', layer_norm_eps: 1e-5, eos_token_id: 2 },
  },
  t5: {
    ...{ d_model: promptWidth, d_kv: 8, d_ff: 32, num_heads: 3, num_layers: 2, vocab_size: 320 },
    ...{ feed_forward_proj: 'gated-gelu', relative_attention_num_buckets: 8 },
  },
  vae: {
    ...{ latent_channels: 4, block_out_channels: [8, 8, 8, 8], layers_per_block: 1 },
    ...{ norm_num_groups: 2, scaling_factor: 0.5, shift_factor: 0.1 },
    ...{ use_quant_conv: false, use_post_quant_conv: false },
    down_block_types: new Array<string>(4).fill('DownEncoderBlock2D'),
    up_block_types: new Array<string>(4).fill('UpDecoderBlock2D'),
  },
  scheduler: {
    _class_name: 'FlowMatchEulerDiscreteScheduler',
    ...{ use_dynamic_shifting: true, shift: 3 },
  },
};

/** A model that makes pictures, and pictures, in a folder of a test's own. */
export interface PictureWorkspace {
  readonly model: string;
  readonly pictures: string;
  readonly outputs: string;
  /** A small job: 2 steps of 2 pictures, 1 of refinement. */
  options(overrides?: Partial<TuneOptions>): TuneOptions;
  close(): Promise<void>;
}

export async function openPictureWorkspace(
  pictures = 3,
  { hasGuidance = true }: { readonly hasGuidance?: boolean } = {},
): Promise<PictureWorkspace> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-pictures-'));
  const [model, data, outputs] = ['model', 'pictures', 'outputs'].map((name) => join(folder, name));
  if (!model || !data || !outputs) throw new Error('three folders expected');
  for (const path of [data, outputs]) await mkdir(path, { recursive: true });
  const transformer = { ...usualConfigs.transformer, guidance_embeds: hasGuidance };
  await writeModel(model, { ...usualConfigs, transformer });
  for (let number = 0; number < pictures; number += 1)
    await writeFile(join(data, `${number}.png`), await picture(number));
  return {
    model,
    pictures: data,
    outputs,
    options: (overrides = {}) =>
      resolveTuneOptions({
        ...{ date: '2026-01-31', model, data, out: join(outputs, 'out') },
        ...{ instancePrompt: 'a picture of sks', resolution: 32, steps: 2, refineSteps: 1 },
        ...{ gradientAccumulation: 2, calibrationRows: 4, learningRate: 1e-2 },
        vramBytes: 2 ** 28,
        ...overrides,
      }),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A disc of one colour on another, 40 x 32 pixels. */
function picture(number: number): Promise<Uint8Array> {
  const [width, height] = [40, 32];
  const rgb = Uint8Array.from({ length: 3 * width * height }, (_, index) => {
    const [pixel, channel] = [Math.floor(index / 3), index % 3];
    const [x, y] = [(pixel % width) - 20, Math.floor(pixel / width) - 16];
    return x * x + y * y < 100 ? 60 * number + 40 * channel : 220 - 30 * number;
  });
  return encodePng({ rgb, width, height });
}

async function writeModel(folder: string, configs: FluxConfigs): Promise<void> {
  const { transformer, clip, t5, vaeEncoder, vaeDecoder } = fluxLayouts(configs);
  const write = async (file: string, value: object): Promise<void> => {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), JSON.stringify(value));
  };
  await write('model_index.json', { _class_name: 'FluxPipeline' });
  await write('scheduler/scheduler_config.json', configs.scheduler);
  await cp(join(prompts, 'clip'), join(folder, 'tokenizer'), { recursive: true });
  await cp(join(prompts, 't5'), join(folder, 'tokenizer_2'), { recursive: true });
  const components = [
    ['transformer', 'diffusion_pytorch_model', configs.transformer, [transformer]],
    ['text_encoder', 'model', configs.clip, [clip]],
    ['text_encoder_2', 'model', configs.t5, [t5]],
    ['vae', 'diffusion_pytorch_model', configs.vae, [vaeEncoder, vaeDecoder]],
  ] as const;
  for (const [name, stem, config, layouts] of components) {
    await write(`${name}/config.json`, config);
    await writeSafetensors(join(folder, name, `${stem}.safetensors`), weights(layouts), {});
  }
}

/** Norms near 1, all else small: what a model has before it is trained. */
function weights(layouts: readonly ModelLayout[]): SafetensorsEntry[] {
  const tensors = layouts.flatMap(({ pages }) => pages.flatMap((page) => page.tensors));
  const named = new Map(
    tensors.map(({ checkpointName: name, shape, storedShape = shape }) => [name, storedShape]),
  );
  return [...named].map(([name, shape]) => ({
    name,
    shape,
    dtype: 'float32',
    data: () => {
      const inputs = shape.slice(1).reduce((count, size) => count * size, 1);
      const values = new Float32Array(shape.reduce((count, size) => count * size, 1));
      const isNorm = shape.length === 1 && name.endsWith('.weight');
      const scale = shape.length === 1 ? 0.02 : 1 / Math.sqrt(inputs);
      fillNormal(createRandom(7, name), values).forEach((value, index) => {
        values[index] = (isNorm ? 1 : 0) + scale * value;
      });
      return new Uint8Array(values.buffer);
    },
  }));
}
