import { join } from 'node:path';
import { at, get } from '@emloc/checked';

import { expectRefusal, inFolder, randomValues } from '../../test/fixtures.js';
import { fluxLinears, writeTensors, type Values } from '../../test/flux.js';
import { layerRank, layerScale, type LoraAdapter } from '../lora-adapter.js';
import { readAdapter } from '../read-adapter.js';

/** A module under kohya's name with the modules whose rows it has, in their order. */
const fused: Readonly<Record<string, readonly string[]>> = {
  lora_unet_double_blocks_1_img_attn_qkv: ['to_q', 'to_k', 'to_v'].map(
    (name) => `transformer_blocks.1.attn.${name}`,
  ),
  lora_unet_double_blocks_0_txt_attn_qkv: ['add_q_proj', 'add_k_proj', 'add_v_proj'].map(
    (name) => `transformer_blocks.0.attn.${name}`,
  ),
  lora_unet_double_blocks_0_img_attn_proj: ['transformer_blocks.0.attn.to_out.0'],
  lora_unet_double_blocks_0_txt_attn_proj: ['transformer_blocks.0.attn.to_add_out'],
  lora_unet_double_blocks_1_img_mlp_0: ['transformer_blocks.1.ff.net.0.proj'],
  lora_unet_double_blocks_1_img_mlp_2: ['transformer_blocks.1.ff.net.2'],
  lora_unet_double_blocks_1_txt_mlp_2: ['transformer_blocks.1.ff_context.net.2'],
  lora_unet_double_blocks_1_img_mod_lin: ['transformer_blocks.1.norm1.linear'],
  lora_unet_double_blocks_1_txt_mod_lin: ['transformer_blocks.1.norm1_context.linear'],
  lora_unet_single_blocks_2_linear1: ['attn.to_q', 'attn.to_k', 'attn.to_v', 'proj_mlp'].map(
    (name) => `single_transformer_blocks.2.${name}`,
  ),
  lora_unet_single_blocks_0_linear2: ['single_transformer_blocks.0.proj_out'],
  lora_unet_single_blocks_0_modulation_lin: ['single_transformer_blocks.0.norm.linear'],
};
const swapped = 'lora_unet_final_layer_adaLN_modulation_1';
const rank = 3;
const alpha = 2;

function linearsOf(paths: readonly string[]): { inFeatures: number; rows: number[] } {
  const linears = paths.map((path) => get(fluxLinears, path));
  return {
    inFeatures: at(linears, 0).inFeatures,
    rows: linears.map(({ outFeatures }) => outFeatures),
  };
}

function kohyaTensors(): Map<string, Values> {
  const tensors = new Map<string, Values>();
  for (const [name, paths] of Object.entries({ ...fused, [swapped]: ['norm_out.linear'] })) {
    const { inFeatures, rows } = linearsOf(paths);
    const out = rows.reduce((sum, count) => sum + count, 0);
    const down = randomValues(rank * inFeatures, tensors.size + 1);
    const up = randomValues(out * rank, tensors.size + 2);
    tensors.set(`${name}.lora_down.weight`, { shape: [rank, inFeatures], values: down });
    tensors.set(`${name}.lora_up.weight`, { shape: [out, rank], values: up });
    tensors.set(`${name}.alpha`, { shape: [], values: Float32Array.of(alpha) });
  }
  return tensors;
}

/** scale · up · down by rows of a stored module. */
function rowsOf(tensors: ReadonlyMap<string, Values>, name: string, scale: number): number[][] {
  const down = get(tensors, `${name}.lora_down.weight`);
  const up = get(tensors, `${name}.lora_up.weight`);
  const [ranks, columns] = [at(down.shape, 0), at(down.shape, 1)];
  return Array.from({ length: at(up.shape, 0) }, (_, row) =>
    Array.from({ length: columns }, (__, column) => {
      let sum = 0;
      for (let k = 0; k < ranks; k += 1)
        sum += scale * at(up.values, row * ranks + k) * at(down.values, k * columns + column);
      return sum;
    }),
  );
}

function updateOf(adapter: LoraAdapter, path: string): number[] {
  const layer = get(adapter.layers, path);
  const [own, scale] = [layerRank(adapter, layer), layerScale(adapter, layer)];
  return Array.from({ length: layer.outFeatures * layer.inFeatures }, (_, index) => {
    const [row, column] = [Math.floor(index / layer.inFeatures), index % layer.inFeatures];
    let sum = 0;
    for (let k = 0; k < own; k += 1)
      sum += scale * at(layer.b, row * own + k) * at(layer.a, k * layer.inFeatures + column);
    return sum;
  });
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  const differences = actual.map((value, index) => Math.abs(value - at(expected, index)));
  expect(Math.max(...differences)).toBeLessThan(1e-6);
}

describe("a LoRA file with kohya's names", () => {
  it.each([alpha, null])('becomes layers of diffusers, with alpha %j', (own) =>
    inFolder(async (folder) => {
      const tensors = kohyaTensors();
      if (own === null)
        for (const name of [...tensors.keys()]) if (name.endsWith('.alpha')) tensors.delete(name);
      const scale = own === null ? 1 : alpha / rank;
      await writeTensors(join(folder, 'dog.safetensors'), tensors, 'float32');
      const adapter = await readAdapter(folder, { linearModules: fluxLinears });
      const paths = Object.values(fused).flat();
      expect([...adapter.layers.keys()].sort()).toEqual([...paths, 'norm_out.linear'].sort());
      for (const [name, targets] of Object.entries(fused)) {
        const rows = rowsOf(tensors, name, scale);
        for (const [index, count] of linearsOf(targets).rows.entries())
          expectClose(updateOf(adapter, at(targets, index)), rows.splice(0, count).flat());
      }
      const rows = rowsOf(tensors, swapped, scale);
      const half = rows.length / 2;
      const expected = [...rows.slice(half), ...rows.slice(0, half)].flat();
      expectClose(updateOf(adapter, 'norm_out.linear'), expected);
    }),
  );

  it('gives the separate layers of one that was stacked, without the zeros in it', () =>
    inFolder(async (folder) => {
      const name = 'lora_unet_single_blocks_1_linear1';
      const paths = ['attn.to_q', 'attn.to_k', 'attn.to_v'];
      const downs = randomValues(3 * rank * 8, 1);
      // proj_mlp, the last 32 rows, is not adapted.
      const up = new Float32Array(56 * 3 * rank);
      const blocks = randomValues(24 * rank, 2);
      for (let row = 0; row < 24; row += 1)
        up.set(
          blocks.subarray(row * rank, (row + 1) * rank),
          row * 3 * rank + Math.floor(row / 8) * rank,
        );
      const tensors = new Map<string, Values>([
        [`${name}.lora_down.weight`, { shape: [3 * rank, 8], values: downs }],
        [`${name}.lora_up.weight`, { shape: [56, 3 * rank], values: up }],
        [`${name}.alpha`, { shape: [1], values: Float32Array.of(3 * alpha) }],
      ]);
      await writeTensors(join(folder, 'dog.safetensors'), tensors, 'float32');
      const adapter = await readAdapter(join(folder, 'dog.safetensors'));
      expect([adapter.rank, adapter.alpha]).toEqual([rank, alpha]);
      expect([...adapter.layers.keys()]).toEqual(
        paths.map((path) => `single_transformer_blocks.1.${path}`),
      );
      const rows = rowsOf(tensors, name, alpha / rank);
      for (const path of adapter.layers.keys())
        expectClose(updateOf(adapter, path), rows.splice(0, 8).flat());
    }));

  it.each<[string, string, RegExp]>([
    ['lora_te1_text_model_encoder_layers_0_mlp_fc1', 'CHECKPOINT_ADAPTER_UNSUPPORTED', /text enc/],
    ['lora_unet_input_blocks_1_1_proj_in', 'CHECKPOINT_ADAPTER_UNSUPPORTED', /input_blocks_1_1/],
    ['lora_unet_single_blocks_0_norm_key_norm', 'CHECKPOINT_ADAPTER_UNSUPPORTED', /key_norm/],
    ['lora_unet_double_blocks_0_img_attn_qkv', 'CHECKPOINT_ADAPTER_MISMATCH', /is 4 x 4, which/],
  ])('is refused with %s', (name, code, message) =>
    inFolder(async (folder) => {
      const tensors = kohyaTensors();
      for (const half of ['lora_down', 'lora_up'])
        tensors.set(`${name}.${half}.weight`, { shape: [4, 4], values: randomValues(16, 1) });
      await writeTensors(join(folder, 'dog.safetensors'), tensors);
      await expectRefusal(readAdapter(folder), code as 'CHECKPOINT_ADAPTER_MISMATCH', message);
    }),
  );
});
