import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expectRefusal, inFolder } from '../../test/fixtures.js';
import {
  fluxConfig,
  fluxTensors,
  storedAsBfl,
  writeTensors,
  type Values,
} from '../../test/flux.js';
import type { Checkpoint } from '../checkpoint.js';
import { FileHasher } from '../file-hasher.js';
import { fromFloat32 } from '../floats.js';
import { writeSafetensors } from '../write-safetensors.js';
import { openBflFile } from './bfl-checkpoint.js';

const file = 'flux1-dev.safetensors';

/** A folder with the transformer in a single file, changed before it is written. */
async function withFile(
  change: (stored: Map<string, Values>) => void,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const stored = storedAsBfl(fluxTensors());
  change(stored);
  await inFolder(async (folder) => {
    await writeTensors(join(folder, file), stored);
    await test(folder);
  });
}

const unchanged = () => undefined;

function renamed(stored: Map<string, Values>, prefix: string): void {
  for (const [name, tensor] of [...stored]) {
    stored.delete(name);
    stored.set(`${prefix}${name}`, tensor);
  }
}

function reshaped(stored: Map<string, Values>, name: string, shape: readonly number[]): void {
  const count = shape.reduce((product, extent) => product * extent, 1);
  stored.set(name, { shape, values: new Float32Array(count) });
}

async function valuesIn(checkpoint: Checkpoint): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (const [name, { shape }] of checkpoint.tensors) {
    const bytes = new Uint8Array(2 * shape.reduce((product, extent) => product * extent, 1));
    await checkpoint.read(name, bytes);
    values.set(name, `${shape.join()} ${Buffer.from(bytes).toString('hex')}`);
  }
  return values;
}

describe('a transformer in a single file', () => {
  it.each(['', 'model.diffusion_model.'])(
    'with the prefix %j has every tensor of diffusers with its values',
    (prefix) =>
      withFile(
        (stored) => {
          renamed(stored, prefix);
          if (prefix !== '') reshaped(stored, 'vae.decoder.conv_in.weight', [3]);
        },
        async (folder) => {
          await using checkpoint = await openBflFile(folder, file);
          const expected = [...fluxTensors()].map(([name, { shape, values }]) => [
            name,
            `${shape.join()} ${Buffer.from(fromFloat32(values, 'bfloat16')).toString('hex')}`,
          ]);
          const actual = await valuesIn(checkpoint);
          expect([...actual.keys()].sort()).toEqual([...fluxTensors().keys()].sort());
          expect(actual).toEqual(new Map(expected as [string, string][]));
        },
      ),
  );

  it('is read by rows, across the seam of what is stored the other way round', () =>
    withFile(unchanged, async (folder) => {
      await using checkpoint = await openBflFile(folder, file);
      for (const name of [
        'norm_out.linear.weight',
        'single_transformer_blocks.1.proj_mlp.weight',
      ]) {
        const { shape = [], values = new Float32Array() } = fluxTensors().get(name) ?? {};
        const [rows = 0, columns = 0] = shape;
        const bytes = new Uint8Array(2 * columns * (rows - 2));
        await checkpoint.readRows(name, 1, rows - 1, bytes);
        expect(bytes).toEqual(fromFloat32(values.slice(columns, (rows - 1) * columns), 'bfloat16'));
      }
      await expectRefusal(
        checkpoint.readRows('norm_out.linear.weight', 1, 17, new Uint8Array(0)),
        'CHECKPOINT_TENSOR_MISMATCH',
        /rows 1 to 17 of norm_out.linear.weight, which has shape \[16, 8\]/,
      );
      await expectRefusal(
        checkpoint.read('norm_out.linear.bias', new Uint8Array(3)),
        'CHECKPOINT_TENSOR_MISMATCH',
        /norm_out.linear.bias has 32 bytes, its destination 3/,
      );
    }));

  it('says where each tensor lies, in ranges that hash its bytes alone', () =>
    withFile(unchanged, async (folder) => {
      await using checkpoint = await openBflFile(folder, file);
      await using hasher = new FileHasher(1);
      const bytes = await readFile(join(folder, file));
      for (const [name, { shape }] of checkpoint.tensors) {
        const size = 2 * shape.reduce((product, extent) => product * extent, 1);
        const range = checkpoint.rangeOf(name);
        expect({ name, size: range.bytes }).toEqual({ name, size });
        const data = bytes.subarray(range.start, range.start + size);
        expect(await hasher.hash(range)).toBe(createHash('sha1').update(data).digest('hex'));
      }
    }));

  it('has the config that its shapes say, with guidance or without', () =>
    withFile(unchanged, async (folder) => {
      await using dev = await openBflFile(folder, file);
      expect(dev.config).toEqual(fluxConfig);
      await withFile(
        (stored) => {
          for (const name of [...stored.keys()])
            if (name.startsWith('guidance_in.')) stored.delete(name);
        },
        async (other) => {
          await using schnell = await openBflFile(other, file);
          expect(schnell.config).toEqual({ ...fluxConfig, guidance_embeds: false });
          expect(schnell.tensors.size).toBe(dev.tensors.size - 4);
          expect(await schnell.fingerprint()).not.toBe(await dev.fingerprint());
        },
      );
    }));

  it.each([
    [128, [16, 56, 56]],
    [16, [4, 6, 6]],
    [64, [8, 28, 28]],
  ])('has heads of %i with axes %j', (headWidth, axes) =>
    withFile(
      (stored) => {
        for (const [name, { shape }] of [...stored]) {
          const wide = shape.map((extent) =>
            extent % 8 === 0 && extent !== 64 ? 16 * extent : extent,
          );
          reshaped(stored, name, name.endsWith('.scale') ? [headWidth] : wide);
        }
        reshaped(stored, 'img_in.weight', [128, 64]);
        reshaped(stored, 'final_layer.linear.weight', [64, 128]);
        reshaped(stored, 'final_layer.linear.bias', [64]);
      },
      async (folder) => {
        await using checkpoint = await openBflFile(folder, file);
        expect(checkpoint.config).toMatchObject({
          attention_head_dim: headWidth,
          num_attention_heads: 128 / headWidth,
          axes_dims_rope: axes,
        });
      },
    ),
  );

  it('takes the axes from a config of diffusers beside it, and refuses one that is not its own', () =>
    withFile(unchanged, async (folder) => {
      const path = join(folder, 'config.json');
      await writeFile(path, JSON.stringify({ ...fluxConfig, axes_dims_rope: [2, 2, 0] }));
      await using checkpoint = await openBflFile(folder, file);
      expect(checkpoint.config).toEqual({ ...fluxConfig, axes_dims_rope: [2, 2, 0] });
      await writeFile(path, JSON.stringify({ ...fluxConfig, num_layers: 19 }));
      await expectRefusal(
        openBflFile(folder, file),
        'CHECKPOINT_TENSOR_MISMATCH',
        /num_layers is 19, the file beside it has 2/,
      );
    }));
});

describe('a single file is refused', () => {
  it.each<[string, (stored: Map<string, Values>) => void, string, RegExp]>([
    [
      'that lacks a block',
      (stored) => {
        for (const name of [...stored.keys()])
          if (name.startsWith('double_blocks.0.')) stored.delete(name);
      },
      'CHECKPOINT_TENSOR_MISSING',
      /lacks double_blocks.0.img_mod.lin.weight, .* and 19 more/,
    ],
    [
      'of which some tensors are missing, by their names',
      (stored) => {
        stored.delete('guidance_in.out_layer.bias');
        stored.delete('single_blocks.2.linear1.weight');
      },
      'CHECKPOINT_TENSOR_MISSING',
      /lacks guidance_in.out_layer.bias, single_blocks.2.linear1.weight$/,
    ],
    [
      'of another architecture',
      (stored) => reshaped(stored, 'distilled_guidance_layer.in_proj.weight', [4, 4]),
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      /no FLUX.1 text-to-image transformer: it has distilled_guidance_layer.in_proj.weight$/,
    ],
    [
      'with biases of norms',
      (stored) => reshaped(stored, 'single_blocks.0.norm.key_norm.bias', [4]),
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      /it has single_blocks.0.norm.key_norm.bias$/,
    ],
    [
      'of a variant with other inputs',
      (stored) => reshaped(stored, 'img_in.weight', [8, 384]),
      'CHECKPOINT_UNSUPPORTED_FORMAT',
      /takes 384 channels and gives 64; supported are 64 and 64/,
    ],
    [
      'whose fused rows do not come out',
      (stored) => reshaped(stored, 'double_blocks.1.txt_attn.qkv.weight', [25, 8]),
      'CHECKPOINT_TENSOR_MISMATCH',
      /double_blocks.1.txt_attn.qkv.weight has shape \[25, 8\], whose rows cannot be divided/,
    ],
    [
      'whose heads do not fill the width',
      (stored) => reshaped(stored, 'double_blocks.0.img_attn.norm.query_norm.scale', [6]),
      'CHECKPOINT_TENSOR_MISMATCH',
      /width of 8, heads of 6/,
    ],
  ])('%s', (_what, change, code, message) =>
    withFile(change, (folder) =>
      expectRefusal(openBflFile(folder, file), code as 'CHECKPOINT_TENSOR_MISSING', message),
    ),
  );

  it.each(['float8_e4m3', 'float8_e5m2', 'uint8', 'int8'] as const)('of %s weights', (dtype) =>
    inFolder(async (folder) => {
      const entries = [...storedAsBfl(fluxTensors())].map(([name, { shape }]) => ({
        name,
        shape,
        dtype,
        data: () => new Uint8Array(shape.reduce((product, extent) => product * extent, 1)),
      }));
      await writeSafetensors(join(folder, file), entries, {});
      await expectRefusal(
        openBflFile(folder, file),
        'CHECKPOINT_UNSUPPORTED_FORMAT',
        new RegExp(`has dtype ${dtype}; supported are bfloat16, float16, float32: quantised`),
      );
    }),
  );

  it('that is Kontext by its name, whose shapes are those of dev', () =>
    inFolder(async (folder) => {
      const name = 'flux1-kontext-dev.safetensors';
      await writeTensors(join(folder, name), storedAsBfl(fluxTensors()));
      await expectRefusal(openBflFile(folder, name), 'CHECKPOINT_UNSUPPORTED_FORMAT', /Kontext/);
    }));
});
