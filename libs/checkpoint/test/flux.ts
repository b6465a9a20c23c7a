import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { fromFloat32, type FloatDType } from '../src/floats.js';
import type { LinearModules } from '../src/lora-adapter.js';
import { writeSafetensors } from '../src/write-safetensors.js';
import { randomValues } from './fixtures.js';

/** Values of a tensor, rows first. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Width of the streams, heads, prompt and pooled vector of a made-up FLUX transformer. */
const width = 8;
const headWidth = 4;
const promptWidth = 6;
const pooledWidth = 5;
export const doubleBlocks = 2;
export const singleBlocks = 3;

export const fluxConfig = Object.freeze({
  _class_name: 'FluxTransformer2DModel',
  attention_head_dim: headWidth,
  axes_dims_rope: [4, 0, 0],
  guidance_embeds: true,
  in_channels: 64,
  joint_attention_dim: promptWidth,
  num_attention_heads: width / headWidth,
  num_layers: doubleBlocks,
  num_single_layers: singleBlocks,
  out_channels: null,
  patch_size: 1,
  pooled_projection_dim: pooledWidth,
});

/** Linear layers of the made-up transformer (out, in), by their paths in diffusers. */
export const fluxLinears: LinearModules = new Map(
  linearShapes().map(([path, [outFeatures, inFeatures]]) => [path, { inFeatures, outFeatures }]),
);

function linearShapes(): [string, readonly [number, number]][] {
  const embedder = (path: string, inputs: number): [string, readonly [number, number]][] => [
    [`time_text_embed.${path}.linear_1`, [width, inputs]],
    [`time_text_embed.${path}.linear_2`, [width, width]],
  ];
  return [
    ['x_embedder', [width, 64]],
    ['context_embedder', [width, promptWidth]],
    ...embedder('timestep_embedder', 256),
    ...embedder('guidance_embedder', 256),
    ...embedder('text_embedder', pooledWidth),
    ...numbered('transformer_blocks', doubleBlocks, doubleBlock()),
    ...numbered('single_transformer_blocks', singleBlocks, singleBlock()),
    ['norm_out.linear', [2 * width, width]],
    ['proj_out', [64, width]],
  ];
}

function doubleBlock(): [string, readonly [number, number]][] {
  const square = ['to_q', 'to_k', 'to_v', 'add_q_proj', 'add_k_proj', 'add_v_proj'];
  return [
    ...['norm1', 'norm1_context'].map((name): [string, readonly [number, number]] => [
      `${name}.linear`,
      [6 * width, width],
    ]),
    ...[...square, 'to_out.0', 'to_add_out'].map((name): [string, readonly [number, number]] => [
      `attn.${name}`,
      [width, width],
    ]),
    ...['ff', 'ff_context'].flatMap((name): [string, readonly [number, number]][] => [
      [`${name}.net.0.proj`, [4 * width, width]],
      [`${name}.net.2`, [width, 4 * width]],
    ]),
  ];
}

function singleBlock(): [string, readonly [number, number]][] {
  return [
    ['norm.linear', [3 * width, width]],
    ...['to_q', 'to_k', 'to_v'].map((name): [string, readonly [number, number]] => [
      `attn.${name}`,
      [width, width],
    ]),
    ['proj_mlp', [4 * width, width]],
    ['proj_out', [width, 5 * width]],
  ];
}

function numbered<T>(kind: string, count: number, block: [string, T][]): [string, T][] {
  return Array.from({ length: count }, (_, number) =>
    block.map(([name, value]): [string, T] => [`${kind}.${number}.${name}`, value]),
  ).flat();
}

/** Every tensor of the made-up transformer by its name in diffusers; all values differ. */
export function fluxTensors(): Map<string, Values> {
  const tensors = new Map<string, Values>();
  const add = (name: string, shape: readonly number[]) => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    tensors.set(name, { shape, values: randomValues(count, tensors.size + 1) });
  };
  for (const [path, { inFeatures, outFeatures }] of fluxLinears) {
    add(`${path}.weight`, [outFeatures, inFeatures]);
    add(`${path}.bias`, [outFeatures]);
  }
  const norms = ['norm_q', 'norm_k'].map((name): [string, null] => [`attn.${name}.weight`, null]);
  const added = norms.map(([name]): [string, null] => [name.replace('norm_', 'norm_added_'), null]);
  for (const [name] of numbered('transformer_blocks', doubleBlocks, [...norms, ...added]))
    add(name, [headWidth]);
  for (const [name] of numbered('single_transformer_blocks', singleBlocks, norms))
    add(name, [headWidth]);
  return tensors;
}

/**
 * The tensors of a transformer as the single-file layout stores them, put together by its
 * description.
 */
export function storedAsBfl(tensors: ReadonlyMap<string, Values>): Map<string, Values> {
  const stored = new Map<string, Values>();
  const take = (name: string): Values => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`no tensor ${name}`);
    return tensor;
  };
  const linear = (name: string, ...paths: string[]) => {
    for (const kind of ['weight', 'bias'])
      stored.set(`${name}.${kind}`, stacked(paths.map((path) => take(`${path}.${kind}`))));
  };
  const embedder = (name: string, path: string) => {
    linear(`${name}.in_layer`, `time_text_embed.${path}.linear_1`);
    linear(`${name}.out_layer`, `time_text_embed.${path}.linear_2`);
  };
  linear('img_in', 'x_embedder');
  linear('txt_in', 'context_embedder');
  embedder('time_in', 'timestep_embedder');
  embedder('vector_in', 'text_embedder');
  if (tensors.has('time_text_embed.guidance_embedder.linear_1.weight'))
    embedder('guidance_in', 'guidance_embedder');
  for (let block = 0; block < doubleBlocks; block += 1) {
    const [to, from] = [`double_blocks.${block}`, `transformer_blocks.${block}`];
    linear(`${to}.img_mod.lin`, `${from}.norm1.linear`);
    linear(`${to}.txt_mod.lin`, `${from}.norm1_context.linear`);
    const attention = (names: string[]) => names.map((name) => `${from}.attn.${name}`);
    linear(`${to}.img_attn.qkv`, ...attention(['to_q', 'to_k', 'to_v']));
    linear(`${to}.txt_attn.qkv`, ...attention(['add_q_proj', 'add_k_proj', 'add_v_proj']));
    linear(`${to}.img_attn.proj`, `${from}.attn.to_out.0`);
    linear(`${to}.txt_attn.proj`, `${from}.attn.to_add_out`);
    linear(`${to}.img_mlp.0`, `${from}.ff.net.0.proj`);
    linear(`${to}.img_mlp.2`, `${from}.ff.net.2`);
    linear(`${to}.txt_mlp.0`, `${from}.ff_context.net.0.proj`);
    linear(`${to}.txt_mlp.2`, `${from}.ff_context.net.2`);
    stored.set(`${to}.img_attn.norm.query_norm.scale`, take(`${from}.attn.norm_q.weight`));
    stored.set(`${to}.img_attn.norm.key_norm.scale`, take(`${from}.attn.norm_k.weight`));
    stored.set(`${to}.txt_attn.norm.query_norm.scale`, take(`${from}.attn.norm_added_q.weight`));
    stored.set(`${to}.txt_attn.norm.key_norm.scale`, take(`${from}.attn.norm_added_k.weight`));
  }
  for (let block = 0; block < singleBlocks; block += 1) {
    const [to, from] = [`single_blocks.${block}`, `single_transformer_blocks.${block}`];
    linear(`${to}.modulation.lin`, `${from}.norm.linear`);
    const parts = ['attn.to_q', 'attn.to_k', 'attn.to_v', 'proj_mlp'];
    linear(`${to}.linear1`, ...parts.map((name) => `${from}.${name}`));
    linear(`${to}.linear2`, `${from}.proj_out`);
    stored.set(`${to}.norm.query_norm.scale`, take(`${from}.attn.norm_q.weight`));
    stored.set(`${to}.norm.key_norm.scale`, take(`${from}.attn.norm_k.weight`));
  }
  linear('final_layer.linear', 'proj_out');
  for (const kind of ['weight', 'bias']) {
    const [scale, shift] = halves(take(`norm_out.linear.${kind}`));
    stored.set(`final_layer.adaLN_modulation.1.${kind}`, stacked([shift, scale]));
  }
  return stored;
}

function stacked(tensors: readonly Values[]): Values {
  const [rows, columns] = [
    tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0),
    tensors[0]?.shape.slice(1) ?? [],
  ];
  const values = Float32Array.from(tensors.flatMap((tensor) => [...tensor.values]));
  return { shape: [rows, ...columns], values };
}

function halves({ shape, values }: Values): readonly [Values, Values] {
  const half = [(shape[0] ?? 0) / 2, ...shape.slice(1)];
  return [
    { shape: half, values: values.slice(0, values.length / 2) },
    { shape: half, values: values.slice(values.length / 2) },
  ];
}

/** Writes tensors as a safetensors file, and the folders that it lies in. */
export async function writeTensors(
  path: string,
  tensors: ReadonlyMap<string, Values>,
  dtype: FloatDType = 'bfloat16',
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const entries = [...tensors].map(([name, { shape, values }]) => ({
    name,
    shape,
    dtype,
    data: () => fromFloat32(values, dtype),
  }));
  await writeSafetensors(path, entries, { format: 'pt' });
}

/** What lies beside a transformer: other components, and files of the pipeline. */
export async function writeOtherComponents(folder: string): Promise<void> {
  const vae = new Map([['decoder.conv_in.weight', { shape: [4], values: randomValues(4, 7) }]]);
  await writeTensors(join(folder, 'vae/diffusion_pytorch_model.safetensors'), vae);
  await writeTensors(join(folder, 'text_encoder/model.safetensors'), vae);
  const texts = {
    'model_index.json': '{"_class_name": "FluxPipeline"}',
    'vae/config.json': '{"_class_name": "AutoencoderKL"}',
    'text_encoder/config.json': '{"architectures": ["CLIPTextModel"]}',
    'scheduler/scheduler_config.json': '{}',
    'tokenizer/vocab.json': '{}',
  };
  for (const [path, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
