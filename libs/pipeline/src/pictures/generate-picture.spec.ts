import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@emloc/checked';
import { writeDiffusersAdapter, type LoraAdapter } from '@emloc/checkpoint';
import { createRandom, fillNormal } from '@emloc/dataset';
import { LocalImageReader } from '@emloc/images';
import { linearModules, openDiffusionModel } from '@emloc/models';

import { cpuTarget } from '../../test/fixtures.js';
import { openPictureWorkspace, type PictureWorkspace } from '../../test/picture-workspace.js';
import { resolveGenerateOptions, type GenerateOptions } from '../options/resolve.js';
import { generatePicture, type PictureReport } from './generate-picture.js';

let workspace: PictureWorkspace;

beforeAll(async () => {
  workspace = await openPictureWorkspace(5);
});

afterAll(() => workspace.close());

async function make(
  name: string,
  options: Partial<GenerateOptions> = {},
): Promise<{ report: PictureReport; bytes: Buffer; live: number; notices: string[] }> {
  const target = cpuTarget();
  const notices: string[] = [];
  const given = resolveGenerateOptions({
    ...{ model: workspace.model, prompt: 'a red circle', size: '32x16', inferenceSteps: 3 },
    ...{ imageOut: join(workspace.outputs, `${name}.png`), ...options },
  });
  const report = await generatePicture(given, {
    target,
    onNotice: (message) => notices.push(message),
  });
  return { report, bytes: await readFile(report.path), live: target.opened.length, notices };
}

/** LoRA of rank 2 on these modules. */
async function writeAdapter(name: string, paths: readonly string[]): Promise<string> {
  await using diffusion = await openDiffusionModel(workspace.model);
  const modules = linearModules(diffusion.transformer.layout);
  const random = createRandom(3, name);
  const layers = paths.map((path) => {
    const { inFeatures, outFeatures } = get(modules, path);
    const a = fillNormal(random, new Float32Array(2 * inFeatures));
    const b = fillNormal(random, new Float32Array(2 * outFeatures));
    return [path, { a, b, inFeatures, outFeatures }] as const;
  });
  const adapter: LoraAdapter = {
    ...{ rank: 2, alpha: 2, useRslora: false, targetModules: [...paths] },
    layers: new Map(layers),
  };
  const folder = join(workspace.outputs, name);
  await writeDiffusersAdapter(folder, adapter);
  return folder;
}

describe('generatePicture', () => {
  it('writes a PNG of the size, equal for equal seeds whatever the budget', async () => {
    const free = await make('free');
    const least = await leastBytes();
    const tight = await make('tight', { vramBytes: least, prefetch: false });

    const { report } = free;
    expect(report).toMatchObject({ width: 32, height: 16, steps: 3, seed: 0 });
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(report.budgetBytes);
    expect(tight.report.budgetBytes).toBeLessThan(report.budgetBytes);
    expect(tight.report.peakDeviceBytes).toBeLessThanOrEqual(least);
    expect(tight.bytes.equals(free.bytes)).toBe(true);
    expect((await make('other', { seed: 1 })).bytes.equals(free.bytes)).toBe(false);
    const size = { width: 32, height: 16 };
    const plan = { ...size, resize: size, crop: { left: 0, top: 0 }, flip: false };
    const pixels = await new LocalImageReader().pixels(
      { kind: 'file', path: report.path },
      { ...plan, exifOrientation: false },
    );
    expect(new Set(pixels).size).toBeGreaterThan(10);
  });

  it('names what a budget has no room for, and the least that has', async () => {
    await expect(make('none', { vramBytes: 1000 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
      message: expect.stringMatching(
        /^a picture of 32 x 16 does not fit into 1000 B: at least .* \(\d+ bytes\) are needed, for the .+$/,
      ) as string,
    });
  });

  it('makes another picture with an adapter, on modulation too', async () => {
    const { bytes } = await make('bare');
    const attention = await writeAdapter('attention', [
      'transformer_blocks.0.attn.to_q',
      'single_transformer_blocks.1.attn.to_v',
    ]);
    const modulation = await writeAdapter('modulation', [
      'transformer_blocks.0.attn.to_q',
      'single_transformer_blocks.1.attn.to_v',
      'single_transformer_blocks.0.norm.linear',
    ]);

    const adapted = await make('adapted', { adapter: attention });
    const modulated = await make('modulated', { adapter: modulation });
    expect(adapted.bytes.equals(bytes)).toBe(false);
    expect(modulated.bytes.equals(adapted.bytes)).toBe(false);
  });

  it('asks a negative prompt, which changes nothing where it is the prompt', async () => {
    const { bytes } = await make('plain');
    const same = await make('same', { negativePrompt: 'a red circle', cfgScale: 7 });
    const other = await make('negated', { negativePrompt: 'a blue circle', cfgScale: 7 });

    expect(same.bytes.equals(bytes)).toBe(true);
    expect(other.bytes.equals(bytes)).toBe(false);
  });

  it('says when a prompt is cut', async () => {
    const { notices } = await make('cut', { prompt: 'a red circle '.repeat(40) });

    expect(notices).toContain('warning: a prompt is cut to the 48 tokens that the model reads');
  });

  it.each([
    [{ temperature: 1 }, /^option temperature: this model makes pictures/],
    [{ imageOut: 'picture.jpg' }, /^option imageOut: "picture.jpg" given, the name of a PNG file/],
    [
      { imageOut: '/no/such/folder/a.png' },
      /^option imageOut: .* a file in a folder that is there/,
    ],
    [{ cfgScale: 7 }, /^option cfgScale: 7 given, a negative prompt beside it expected/],
    [{ size: '8192' }, /^option size: "8192" given, sides of at most 4096 pixels expected/],
  ])('refuses %j before a device is taken', async (options, message) => {
    const target = cpuTarget();
    const given = resolveGenerateOptions({ model: workspace.model, prompt: 'a', ...options });

    await expect(generatePicture(given, { target })).rejects.toMatchObject({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringMatching(message) as string,
    });
    expect(target.opened).toEqual([]);
  });

  it('stops at its signal and writes nothing', async () => {
    const path = join(workspace.outputs, 'stopped.png');
    await writeFile(path, 'before');
    const abort = new AbortController();
    const given = resolveGenerateOptions({
      ...{ model: workspace.model, prompt: 'a', size: '32', inferenceSteps: 50, imageOut: path },
    });
    const made = generatePicture(given, {
      target: cpuTarget(),
      signal: abort.signal,
      onProgress: (task) => {
        if (task === 'sampling') abort.abort(new Error('enough'));
      },
    });

    await expect(made).rejects.toThrow();
    expect(await readFile(path, 'utf8')).toBe('before');
  });

  async function leastBytes(): Promise<number> {
    const message = await make('none', { vramBytes: 1000 }).then(
      () => '',
      (error: Error) => error.message,
    );
    return Number(/\((\d+) bytes\)/.exec(message)?.[1]);
  }
});

describe('generatePicture without guidance', () => {
  it('takes 4 steps, and no guidance scale', async () => {
    const unguided = await openPictureWorkspace(1, { hasGuidance: false });
    const given = { model: unguided.model, prompt: 'a', size: '32' };
    const imageOut = join(unguided.outputs, 'a.png');
    const host = { target: cpuTarget() };

    const report = await generatePicture(resolveGenerateOptions({ ...given, imageOut }), host);
    expect(report.steps).toBe(4);
    await expect(
      generatePicture(resolveGenerateOptions({ ...given, imageOut, guidance: 2 }), host),
    ).rejects.toMatchObject({ message: expect.stringContaining('option guidance: 2') as string });
    await unguided.close();
  });
});
