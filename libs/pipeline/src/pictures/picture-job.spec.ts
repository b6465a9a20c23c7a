import { cp, open, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { mergeCheckpoint, openCheckpoint, openSafetensors, readAdapter } from '@emloc/checkpoint';
import { adaptableModules, openDiffusionModel } from '@emloc/models';

import { cpuTarget, tuneHost } from '../../test/fixtures.js';
import { openPictureWorkspace, type PictureWorkspace } from '../../test/picture-workspace.js';
import { startingAdapter } from '../job/job.js';
import type { JobEvent } from '../job/observer.js';
import { prepareJob } from '../job/prepare-job.js';
import type { TuneReport } from '../job/tune-report.js';
import type { TuneOptions } from '../options/resolve.js';
import { fitMemory } from '../plan/fit-memory.js';
import { tune } from '../tune.js';

const weights = 'pytorch_lora_weights.safetensors';

let workspace: PictureWorkspace;
/** Of the usual options, in more memory than is needed. */
let usual: { readonly report: TuneReport; readonly bytes: Buffer };

async function run(
  name: string,
  overrides: Partial<TuneOptions> = {},
): Promise<{ report: TuneReport; bytes: Buffer }> {
  const out = join(workspace.outputs, name);
  const report = await tune(workspace.options({ out, ...overrides }), tuneHost());
  return { report, bytes: await readFile(join(out, weights)) };
}

/** Runs until training has taken a step. */
async function interrupted(options: TuneOptions): Promise<void> {
  const abort = new AbortController();
  const observer = (event: JobEvent): void => {
    if (event.type === 'step') abort.abort(new Error('enough'));
  };
  await expect(
    tune(options, { ...tuneHost(), checkpointSteps: 1, observer, signal: abort.signal }),
  ).rejects.toMatchObject({ code: 'PIPELINE_INTERRUPTED' });
}

/** Another sign for the last values of the tensor whose name ends so; returns its name and file. */
async function changeTensor(folder: string, ending: string): Promise<string> {
  await using checkpoint = await openCheckpoint(folder);
  const name = [...checkpoint.tensors.keys()].find((each) => each.endsWith(ending)) ?? ending;
  const { path, start, bytes } = checkpoint.rangeOf(name);
  await using file = await open(path, 'r+');
  const part = Buffer.alloc(8);
  await file.read(part, 0, part.length, start + bytes - part.length);
  await file.write(
    part.map((byte, index) => byte ^ (index % 2 === 1 ? 0x80 : 0)),
    0,
    part.length,
    start + bytes - part.length,
  );
  return `${name} in ${basename(folder)}/${basename(path)}`;
}

beforeAll(async () => {
  workspace = await openPictureWorkspace(3, { hasGuidance: false });
  usual = await run('usual');
});

afterAll(() => workspace.close());

describe('a job on pictures', () => {
  it('writes diffusers’ file, with the linears that DreamBooth adapts and no scale beside them', async () => {
    await using file = await openSafetensors(join(workspace.outputs, 'usual', weights));
    const attention = ['to_q', 'to_k', 'to_v', 'to_out.0'].map((name) => `attn.${name}`);
    const added = ['add_q_proj', 'add_k_proj', 'add_v_proj', 'to_add_out'].map((n) => `attn.${n}`);
    const fed = ['ff', 'ff_context'].flatMap((name) => [`${name}.net.0.proj`, `${name}.net.2`]);
    const modules = [0, 1].flatMap((index) => [
      ...[...attention, ...added, ...fed].map((name) => `transformer_blocks.${index}.${name}`),
      ...attention.slice(0, 3).map((name) => `single_transformer_blocks.${index}.${name}`),
    ]);
    const keys = modules.flatMap((path) =>
      ['A', 'B'].map((part) => `transformer.${path}.lora_${part}.weight`),
    );
    expect([...file.tensors.keys()].sort()).toEqual(keys.sort());
  });

  it('begins from such a file, with its rank, alpha and targets', async () => {
    const initAdapter = join(workspace.outputs, 'usual');
    const asked = { rank: null, alpha: null, targets: null };
    await using job = await prepareJob(workspace.options({ ...asked, initAdapter }));
    const plain = await prepareJob(workspace.options());
    await plain.close();
    const { rank, alpha, targets } = job.options;
    expect({ rank, alpha, targets }).toEqual({ rank: 4, alpha: 4, targets: null });
    const linearModules = adaptableModules(job.whole.layout);
    const { layers } = await readAdapter(initAdapter, { linearModules });
    expect(startingAdapter(job).layers).toEqual(layers);
    expect(job.id).not.toBe(plain.id);
    const { bytes } = await run('begun', { ...asked, initAdapter });
    expect(bytes.equals(usual.bytes)).toBe(false);
  });

  it('gives the same bytes in the least memory that it can work in, and keeps within it', async () => {
    await using job = await prepareJob(workspace.options());
    const { profile } = cpuTarget();
    const { neededBytes } = await fitMemory({ job, profile, budgetBytes: 2 ** 40 });
    expect(neededBytes).toBeLessThan(usual.report.peakDeviceBytes);
    const { report, bytes } = await run('least', { vramBytes: neededBytes });
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
    expect(bytes.equals(usual.bytes)).toBe(true);
    await expect(run('less', { vramBytes: neededBytes - 1 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
    });
  });

  it('is validated on the way in the memory that is planned for it', async () => {
    const asked = { evalSteps: 1, correction: 'auto' } as const;
    await using job = await prepareJob(workspace.options(asked));
    const { profile } = cpuTarget();
    const { neededBytes } = await fitMemory({ job, profile, budgetBytes: 2 ** 40 });
    const { report } = await run('validated', { ...asked, vramBytes: neededBytes });
    expect(Object.keys(report.correction?.scores ?? {})).toHaveLength(4);
    const { curve, chosenStep } = report.courses.train;
    const steps = Array.from({ length: job.training.batches.length + 1 }, (_, step) => step);
    expect(curve?.map(({ step }) => step)).toEqual(steps);
    const losses = curve?.map(({ loss }) => loss) ?? [];
    expect(losses.indexOf(Math.min(...losses))).toBe(chosenStep);
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
  });

  it('is planned for any number of steps', async () => {
    const neededBytes = async (steps: number): Promise<number> => {
      await using job = await prepareJob(workspace.options({ steps, buckets: true }));
      const { profile } = cpuTarget();
      return (await fitMemory({ job, profile, budgetBytes: 2 ** 40 })).neededBytes;
    };
    const [few, many] = [await neededBytes(20), await neededBytes(10_000_000)];
    expect(many).toBeGreaterThanOrEqual(few);
    expect(many).toBeLessThan(1.2 * few);
  });

  it('goes on after an interruption to the same bytes', async () => {
    const out = join(workspace.outputs, 'resumed');
    const options = workspace.options({ out });
    await interrupted(options);
    const events: JobEvent[] = [];
    await tune(options, {
      ...tuneHost(),
      mode: 'resume',
      checkpointSteps: 1,
      observer: (event) => void events.push(event),
    });
    expect((await readFile(join(out, weights))).equals(usual.bytes)).toBe(true);
    const made = events.filter((event) => event.type === 'progress' && event.stage === 'front');
    expect(made).toEqual([]);
  });

  it.each([
    ['text_encoder', 'token_embedding.weight'],
    ['text_encoder_2', 'shared.weight'],
    ['vae', 'encoder.mid_block.resnets.0.conv1.weight'],
  ])('is not gone on with where %s has other values of %s', async (folder, tensor) => {
    const out = join(workspace.outputs, 'changed');
    const model = join(workspace.outputs, 'model-changed');
    await cp(workspace.model, model, { recursive: true });
    const options = workspace.options({ model, out });
    await interrupted(options);
    const changed = await changeTensor(join(model, folder), tensor);
    await expect(tune(options, { ...tuneHost(), mode: 'resume' })).rejects.toMatchObject({
      code: 'PIPELINE_RESUME_MISMATCH',
      message: expect.stringContaining(`tensor ${changed}`),
    });
    for (const path of [model, join(workspace.outputs, '.changed.job')])
      await rm(path, { recursive: true });
  });

  it('merges into the transformer, which scores as the original with the adapter does', async () => {
    const model = join(workspace.outputs, 'merged');
    const adapter = join(workspace.outputs, 'usual');
    await using original = await openDiffusionModel(workspace.model);
    const linearModules = adaptableModules(original.transformer.layout);
    await mergeCheckpoint({
      ...{ model: workspace.model, out: model },
      adapter: await readAdapter(adapter, { linearModules }),
    });
    const { report } = await run('on-merged', { model, ratios: ['1'] });
    const { validation } = usual.report;
    const loss = validation.refined ?? validation.corrected ?? validation.uncorrected;
    expect(Math.abs(report.validation.base - loss)).toBeLessThan(1e-5);
    expect(loss).not.toBe(validation.base);
  });
});

describe('what a job on pictures learns from', () => {
  it('is modulation, too, where it is named, and all of the transformer runs at every step', async () => {
    const targets = String.raw`.*(norm1\.linear|attn\.to_q)`;
    const { report } = await run('modulation', { targets, ratios: ['1'] });
    await using file = await openSafetensors(join(workspace.outputs, 'modulation', weights));
    const adapted = [...file.tensors.keys()].filter((name) => name.includes('norm1.linear'));
    expect(adapted).toHaveLength(4);
    expect(report.validation.uncorrected).not.toBe(report.validation.base);
  });

  it.each<[string, Partial<TuneOptions>]>([
    ['prodigy', { optimizer: 'prodigy' }],
    ['noise', { noiseScheme: 'flux-shift', lossWeighting: 'cosmap', flip: true }],
    ['buckets', { buckets: true, resolution: 32, batch: 2 }],
  ])('may be chosen: %s', async (name, options) => {
    const { bytes } = await run(name, options);
    expect(bytes.equals(usual.bytes)).toBe(false);
  });

  it('does not have what is held out, of 8 and more pictures', async () => {
    const many = await openPictureWorkspace(8, { hasGuidance: false });
    await using job = await prepareJob(many.options());
    expect(job.report).toMatchObject({ kind: 'pictures', heldOut: 1 });
    await many.close();
  });

  it('is refused where every picture needs a caption and has none', async () => {
    await expect(run('uncaptioned', { instancePrompt: null })).rejects.toMatchObject({
      code: 'DATASET_INVALID_PICTURES',
    });
  });

  it('has no options of texts', async () => {
    await expect(run('text', { maxTiles: 3 })).rejects.toMatchObject({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringContaining('maxTiles'),
    });
  });
});
