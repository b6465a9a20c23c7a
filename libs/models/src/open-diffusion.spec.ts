import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isDiffusionFolder, openDiffusionModel } from './open-diffusion.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-diffusion-'));
});

afterEach(() => rm(folder, { recursive: true }));

function write(file: string, content: unknown): Promise<void> {
  return writeFile(join(folder, file), JSON.stringify(content));
}

describe('isDiffusionFolder', () => {
  it('knows a folder of several models by its index, whatever the index says', async () => {
    expect(await isDiffusionFolder(folder)).toBe(false);
    await write('model_index.json', { _class_name: 'StableDiffusionPipeline' });
    expect(await isDiffusionFolder(folder)).toBe(true);
  });

  it('refuses an index that cannot be read, by its name', async () => {
    execFileSync('mkfifo', [join(folder, 'model_index.json')]);
    await expect(isDiffusionFolder(folder)).rejects.toMatchObject({
      code: 'CHECKPOINT_INVALID_CONFIG',
      message: expect.stringContaining('model_index.json') as string,
    });
  });

  it('takes a folder with a model of its own for none', async () => {
    await write('config.json', { architectures: ['LlamaForCausalLM'] });
    expect(await isDiffusionFolder(folder)).toBe(false);
    expect(await isDiffusionFolder(join(folder, 'missing'))).toBe(false);
  });
});

describe('openDiffusionModel', () => {
  it.each(['FluxFillPipeline', 'FluxKontextPipeline', 'Flux2Pipeline', 'StableDiffusion3Pipeline'])(
    'refuses %s by name',
    async (name) => {
      await write('model_index.json', { _class_name: name });
      await mkdir(join(folder, 'transformer'));
      await expect(openDiffusionModel(folder)).rejects.toMatchObject({
        code: 'MODEL_UNSUPPORTED_CONFIG',
        message: `model_index.json: _class_name = "${name}" is not supported (only "FluxPipeline")`,
      });
    },
  );

  it('says what a folder without a transformer lacks', async () => {
    await write('model_index.json', { _class_name: 'FluxPipeline' });
    await expect(openDiffusionModel(folder)).rejects.toMatchObject({
      code: 'MODEL_INVALID_CONFIG',
      message: expect.stringContaining('neither the folder transformer') as string,
    });
  });
});
