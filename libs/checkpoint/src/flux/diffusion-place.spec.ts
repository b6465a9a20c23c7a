import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expectRefusal, inFolder, tinyModel } from '../../test/fixtures.js';
import {
  fluxConfig,
  fluxTensors,
  storedAsBfl,
  writeOtherComponents,
  writeTensors,
} from '../../test/flux.js';
import { findDiffusionModel, openTransformer } from './diffusion-place.js';

const weights = 'transformer/diffusion_pytorch_model.safetensors';

async function writeDiffusers(folder: string): Promise<void> {
  await writeTensors(join(folder, weights), fluxTensors());
  await writeFile(join(folder, 'transformer/config.json'), JSON.stringify(fluxConfig));
}

describe('a diffusion model', () => {
  it('of a folder of diffusers has its transformer in a sub-folder, whatever lies beside', () =>
    inFolder(async (folder) => {
      await writeDiffusers(folder);
      await writeOtherComponents(folder);
      await writeTensors(join(folder, 'flux1-dev.safetensors'), storedAsBfl(fluxTensors()));
      const place = await findDiffusionModel(folder);
      expect(place).toEqual({ folder, transformerFile: null });
      if (!place) return;
      await using transformer = await openTransformer(place);
      expect(transformer.config).toEqual(fluxConfig);
      expect(new Set(transformer.tensors.keys())).toEqual(new Set(fluxTensors().keys()));
    }));

  it.each(['flux1-dev.safetensors', 'flux1-schnell.safetensors', 'mine.safetensors'])(
    'of a folder with the file %s has its transformer there, and so has the file itself',
    (file) =>
      inFolder(async (folder) => {
        await writeOtherComponents(folder);
        await writeTensors(join(folder, 'ae.safetensors'), new Map());
        await writeTensors(join(folder, file), storedAsBfl(fluxTensors()));
        await mkdir(join(folder, 'transformer'));
        await writeFile(join(folder, 'transformer/config.json'), JSON.stringify(fluxConfig));
        const expected = { folder, transformerFile: file };
        expect(await findDiffusionModel(folder)).toEqual(expected);
        expect(await findDiffusionModel(join(folder, file))).toEqual(expected);
        await mkdir(join(folder, 'linked'));
        await symlink(join('..', file), join(folder, 'linked', file));
        expect(await findDiffusionModel(join(folder, 'linked'))).toMatchObject({
          transformerFile: file,
        });
      }),
  );

  it('is not found in a folder of a language model, an empty one or where nothing is', () =>
    inFolder(async (folder) => {
      expect(await findDiffusionModel(tinyModel)).toBeNull();
      expect(await findDiffusionModel(folder)).toBeNull();
      expect(await findDiffusionModel(join(folder, 'none'))).toBeNull();
      await writeFile(join(folder, 'train.jsonl'), '');
      expect(await findDiffusionModel(join(folder, 'train.jsonl'))).toBeNull();
    }));

  it('is told by its names where several files may be meant, and refused where two are', () =>
    inFolder(async (folder) => {
      const stored = storedAsBfl(fluxTensors());
      await writeTensors(join(folder, 'flux1-dev.safetensors'), stored);
      await writeTensors(join(folder, 'other.safetensors'), stored);
      const lora = new Map([
        ['transformer.x.lora_A.weight', { shape: [1], values: new Float32Array(1) }],
      ]);
      await writeTensors(join(folder, 'flux1-lora.safetensors'), lora);
      expect(await findDiffusionModel(folder)).toEqual({
        folder,
        transformerFile: 'flux1-dev.safetensors',
      });
      await rename(join(folder, 'other.safetensors'), join(folder, 'flux1-schnell.safetensors'));
      await expectRefusal(
        findDiffusionModel(folder),
        'CHECKPOINT_INVALID_INDEX',
        /2 transformers \(flux1-dev.safetensors, flux1-schnell.safetensors\)/,
      );
    }));

  it('whose only file is damaged or something else is refused by what is wrong with it', () =>
    inFolder(async (folder) => {
      await writeFile(join(folder, 'flux1-dev.safetensors'), 'no safetensors');
      const place = await findDiffusionModel(folder);
      if (!place) throw new Error('a place expected');
      await expectRefusal(openTransformer(place), 'CHECKPOINT_INVALID_FILE', /flux1-dev/);
      await mkdir(join(folder, 'transformer'));
      await writeFile(join(folder, 'transformer/diffusion_pytorch_model.safetensors'), '');
      const broken = await findDiffusionModel(folder);
      if (!broken) throw new Error('a place expected');
      await expectRefusal(openTransformer(broken), 'CHECKPOINT_NOT_FOUND', /config.json/);
    }));
});
