import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { exampleVae, exampleVaeConfig, writeExampleAe } from '../../test/ae.js';
import { expectRefusal, inFolder } from '../../test/fixtures.js';
import type { Checkpoint } from '../checkpoint.js';
import { openCheckpoint } from '../open-checkpoint.js';
import { aeFile, findVaeFile, openVae } from './ae-checkpoint.js';

async function valuesIn(checkpoint: Checkpoint): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (const [name, { shape }] of checkpoint.tensors) {
    const bytes = new Uint8Array(2 * shape.reduce((product, extent) => product * extent, 1));
    await checkpoint.read(name, bytes);
    values.set(name, `${shape.join()} ${Buffer.from(bytes).toString('hex')}`);
  }
  return values;
}

describe('the VAE in a single file', () => {
  it('has every tensor of diffusers with its shape and values', () =>
    inFolder(async (folder) => {
      await writeExampleAe(join(folder, aeFile));
      await using expected = await openCheckpoint(exampleVae);
      await using actual = await openVae(folder);
      expect(await valuesIn(actual)).toEqual(await valuesIn(expected));
    }));

  it('has the config that its shapes say, and FLUX.1 has where they say nothing', () =>
    inFolder(async (folder) => {
      await writeExampleAe(join(folder, aeFile));
      await using checkpoint = await openVae(folder);
      const { sample_size, latents_mean, latents_std, force_upcast, ...config } =
        await exampleVaeConfig();
      expect([sample_size, latents_mean, latents_std, force_upcast]).toEqual([
        96,
        null,
        null,
        true,
      ]);
      const published = { norm_num_groups: 32, scaling_factor: 0.3611, shift_factor: 0.1159 };
      expect(checkpoint.config).toEqual({ ...config, ...published });
    }));

  it('has what vae/config.json states', () =>
    inFolder(async (folder) => {
      await writeExampleAe(join(folder, aeFile));
      await mkdir(join(folder, 'vae'));
      await writeFile(join(folder, 'vae/config.json'), JSON.stringify(await exampleVaeConfig()));
      await using checkpoint = await openVae(folder);
      expect(checkpoint.config).toEqual(await exampleVaeConfig());
    }));

  it('is not taken where the folder vae has weights', () =>
    inFolder(async (folder) => {
      expect(await findVaeFile(folder)).toBeNull();
      await writeExampleAe(join(folder, aeFile));
      expect(await findVaeFile(folder)).toBe(aeFile);
      await writeExampleAe(join(folder, 'vae.safetensors'));
      await mkdir(join(folder, 'vae'));
      await writeFile(join(folder, 'vae/diffusion_pytorch_model.safetensors'), '');
      expect(await findVaeFile(folder)).toBeNull();
    }));

  it.each([
    'encoder.down.9.block.0.conv1.weight',
    'decoder.up.0.attn.0.q.weight',
    'decoder.up.1.downsample.conv.weight',
    'encoder.up.0.block.0.conv1.weight',
    'loss.discriminator.weight',
  ])('is refused with %s in it, which no FLUX.1 has', (name) =>
    inFolder(async (folder) => {
      await writeExampleAe(join(folder, aeFile), ([first, ...rest]) =>
        first ? [{ ...first, name }, ...rest] : [],
      );
      await expectRefusal(
        openVae(folder),
        'CHECKPOINT_UNSUPPORTED_FORMAT',
        new RegExp(`ae.safetensors is no image encoder and decoder of FLUX.1: it has ${name}`),
      );
    }),
  );
});
