import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@emloc/checked';
import { mergeCheckpoint, openCheckpoint, readPeftAdapter, toFloat32 } from '@emloc/checkpoint';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { cpuTarget, openWorkspace, tinyModel, tuneHost, type Workspace } from '../test/fixtures.js';
import { evaluateModel } from './evaluate.js';
import type { JobEvent } from './job/observer.js';
import type { TuneReport } from './job/tune-report.js';
import { resolveEvaluateOptions, type TuneOptions } from './options/resolve.js';
import { tune, type TuneHost } from './tune.js';

const small: Partial<TuneOptions> = {
  ...{ batch: 2, maxLength: 32, calibrationRows: 2, refineSteps: null, steps: 3 },
  ...{ useDora: true, method: 'paged', targets: '.*\\.(q_proj|down_proj)' },
};

let workspace: Workspace;
let whole: TuneReport;
const snapshots: string[] = [];

const placeOf = (name: string): string => join(workspace.outputs, name);

function run(
  name: string,
  options: Partial<TuneOptions> = {},
  host: Partial<TuneHost> = {},
): Promise<TuneReport> {
  return tune(workspace.options({ ...small, ...options, out: placeOf(name) }), tuneHost(host));
}

const weightsOf = (name: string): Promise<string> =>
  readFile(join(placeOf(name), 'adapter_model.safetensors'), 'base64');

const jsonOf = async (name: string, file: string): Promise<unknown> =>
  JSON.parse(await readFile(join(placeOf(name), file), 'utf8'));

async function lossOf(model: string, adapter: string | null): Promise<number> {
  const options = { model, adapter, data: workspace.data, limit: 8, maxLength: 64 };
  const report = await evaluateModel(resolveEvaluateOptions({ ...options, vramBytes: 2 ** 30 }), {
    target: cpuTarget(),
  });
  return report.loss;
}

/** Norms of the rows of a linear's weight in the model's files. */
async function normsOf(path: string, inFeatures: number): Promise<readonly number[]> {
  await using checkpoint = await openCheckpoint(tinyModel);
  const { shape, dtype } = get(checkpoint.tensors, `${path}.weight`);
  const bytes = new Uint8Array(shape.reduce((product, extent) => product * extent, 2));
  await checkpoint.read(`${path}.weight`, bytes);
  const values = toFloat32(bytes, dtype as 'bfloat16');
  return Array.from({ length: values.length / inFeatures }, (_, row) =>
    Math.hypot(...values.subarray(row * inFeatures, (row + 1) * inFeatures)),
  );
}

beforeAll(async () => {
  workspace = await openWorkspace();
  const observer = (event: JobEvent): void => {
    if (event.type !== 'step') return;
    snapshots.push(join(workspace.outputs, '..', 'dora', String(snapshots.length)));
    takeSnapshot(placeOf('whole'), snapshots.at(-1) ?? '');
  };
  whole = await run('whole', {}, { observer, checkpointSteps: 1 });
});

afterAll(() => workspace.close());

describe('DoRA on the original', () => {
  it('begins at the norms of the rows, as the base model, and moves them', async () => {
    await run('still', { steps: 1, learningRate: 1e-12 });
    const { layers } = await readPeftAdapter(placeOf('still'));
    const moved = await readPeftAdapter(placeOf('whole'));
    expect(layers.size).toBe(moved.layers.size);
    for (const [path, { magnitude = new Float32Array(), inFeatures }] of layers) {
      const norms = await normsOf(path, inFeatures);
      expect(magnitude).toHaveLength(norms.length);
      for (const [row, norm] of norms.entries())
        expect(Math.abs((magnitude[row] ?? 0) - norm)).toBeLessThan(1e-6 * norm);
      expect(get(moved.layers, path).magnitude).not.toEqual(magnitude);
    }
    expect(await lossOf(tinyModel, placeOf('still'))).toBeCloseTo(await lossOf(tinyModel, null), 5);
  });

  it('learns, and says what it is', async () => {
    const { base, uncorrected } = whole.validation;
    expect(uncorrected).toBeLessThan(base);
    expect(await jsonOf('whole', 'adapter_config.json')).toMatchObject({ use_dora: true });
    expect(await jsonOf('whole', 'emloc.json')).toMatchObject({ lora: { useDora: true } });
    expect(await readFile(join(placeOf('whole'), 'README.md'), 'utf8')).toContain(
      'DoRA on the original model',
    );
  });

  it('comes to equal bytes paged, resident, and killed in training', async () => {
    const expected = await weightsOf('whole');
    await run('resident', { method: 'resident' });
    expect(await weightsOf('resident')).toBe(expected);
    await run('least', { vramBytes: null });
    expect(await weightsOf('least')).toBe(expected);
    await leaveCrash(placeOf('killed'), snapshots.at(1) ?? '');
    await run('killed', {}, { mode: 'resume' });
    expect(await weightsOf('killed')).toBe(expected);
    await run('plain', { useDora: false });
    expect(await weightsOf('plain')).not.toBe(expected);
  });

  it('scores as the weights do that it is merged into', async () => {
    const out = placeOf('merged');
    const adapter = await readPeftAdapter(placeOf('whole'));
    await mergeCheckpoint({ model: tinyModel, adapter, out, dtype: 'float32' });
    const merged = await lossOf(out, null);
    expect(await lossOf(tinyModel, placeOf('whole'))).toBeCloseTo(merged, 4);
    expect(merged).not.toBeCloseTo(await lossOf(tinyModel, null), 3);
  });

  it.each<[string, Partial<TuneOptions>]>([
    ['Prodigy', { optimizer: 'prodigy', learningRate: 1 }],
    ['LoRA+, dropout and the best state', { loraPlusRatio: 4, loraDropout: 0.2, evalSteps: 1 }],
    ['codes for weights', { storage: 'nf4' }],
  ])('goes with %s, killed or not', async (name, options) => {
    const taken: string[] = [];
    const observer = (event: JobEvent): void => {
      if (event.type !== 'step') return;
      taken.push(join(workspace.outputs, '..', name, String(taken.length)));
      takeSnapshot(placeOf(name), taken.at(-1) ?? '');
    };
    await run(name, options, { observer, checkpointSteps: 1 });
    await leaveCrash(placeOf(`${name} killed`), taken.at(1) ?? '');
    await run(`${name} killed`, options, { mode: 'resume' });
    expect(await weightsOf(`${name} killed`)).toBe(await weightsOf(name));
  });
});

describe('an adapter of DoRA to begin from', () => {
  const begun = { rank: null, alpha: null, targets: null, useDora: false };

  it('is gone on with, and makes the job DoRA', async () => {
    const options = { ...begun, initAdapter: placeOf('whole'), steps: 1, learningRate: 1e-12 };
    await run('begun', options);
    const [start, end] = [
      await readPeftAdapter(placeOf('whole')),
      await readPeftAdapter(placeOf('begun')),
    ];
    for (const [path, { magnitude }] of end.layers)
      for (const [row, value] of (magnitude ?? []).entries())
        expect(value).toBeCloseTo(get(start.layers, path).magnitude?.[row] ?? Number.NaN, 6);
    expect(await jsonOf('begun', 'adapter_config.json')).toMatchObject({ use_dora: true });
  });

  it('is refused where the job trains an emulator, as a plain one is where DoRA is asked for', async () => {
    const initAdapter = placeOf('whole');
    await expect(
      run('emulated', { ...begun, initAdapter, method: null, ratios: ['0.5'] }),
    ).rejects.toThrow('option initAdapter: it is DoRA, which is trained on the original alone');
    await run('lora', { useDora: false, steps: 1 });
    await expect(
      run('asked', { ...begun, useDora: true, initAdapter: placeOf('lora') }),
    ).rejects.toThrow('option useDora: true given, false, as option initAdapter has it');
  });
});

it.each<[string, Partial<TuneOptions>]>([
  ['an emulator', { method: null, ratios: ['0.5'] }],
  ['ratio 1 without a method', { method: null, ratios: ['1'] }],
  ['levels', { method: null, levels: '0.25:2,1:1', steps: null }],
  ['a method that is to be found', { method: 'auto' }],
])('refuses DoRA for %s', (_what, options) => {
  expect(() => workspace.options({ ...small, ...options })).toThrow(
    /^option useDora: true given, option method paged or resident beside it/,
  );
});
