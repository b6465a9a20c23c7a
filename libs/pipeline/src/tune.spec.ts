import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { logFileName, readPeftAdapter } from '@emloc/checkpoint';

import { cpuTarget, openWorkspace, tinyModel, tuneHost, type Workspace } from '../test/fixtures.js';
import type { JobEvent } from './job/observer.js';
import { prepareJob } from './job/prepare-job.js';
import type { TuneReport } from './job/tune-report.js';
import type { TuneOptions } from './options/resolve.js';
import { fitMemory } from './plan/fit-memory.js';
import { tune, type TuneHost } from './tune.js';

const adapterFiles = [
  'README.md',
  'adapter_config.json',
  'adapter_model.safetensors',
  'emloc.json',
  'uncorrected/adapter_config.json',
  'uncorrected/adapter_model.safetensors',
];

let workspace: Workspace;

beforeEach(async () => {
  workspace = await openWorkspace();
});

afterEach(() => workspace.close());

interface Outcome {
  readonly report: TuneReport;
  /** SHA-256 by name, without the log, which has times. */
  readonly files: Readonly<Record<string, string>>;
}

async function run(
  name: string,
  overrides: Partial<TuneOptions> = {},
  host: Partial<TuneHost> = {},
): Promise<Outcome> {
  const out = join(workspace.outputs, name);
  const report = await tune(workspace.options({ out, ...overrides }), tuneHost(host));
  const names = (await readdir(out, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(out.length + 1))
    .filter((name) => name !== logFileName)
    .sort();
  const files = await Promise.all(
    names.map(
      async (file) =>
        [
          file,
          createHash('sha256')
            .update(await readFile(join(out, file)))
            .digest('hex'),
        ] as const,
    ),
  );
  return { report, files: Object.fromEntries(files) };
}

async function leastBytes(overrides: Partial<TuneOptions> = {}): Promise<number> {
  const job = await prepareJob(workspace.options(overrides));
  try {
    return (await fitMemory({ job, profile: cpuTarget().profile, budgetBytes: 2 ** 40 }))
      .neededBytes;
  } finally {
    await job.close();
  }
}

const aNumber: unknown = expect.any(Number);

describe('tune', () => {
  it('reports what scripts rely on, and writes a PEFT adapter with its record', async () => {
    const events: JobEvent[] = [];
    const { report, files } = await run(
      'out',
      { validation: null, correction: 'auto' },
      { observer: (event) => events.push(event) },
    );
    expect(report).toEqual({
      job: expect.stringMatching(/^[0-9a-f]{16}$/),
      choice: null,
      date: '2026-01-31',
      sourceRows: 48,
      droppedRows: 0,
      truncatedRows: 48,
      adapter: join(workspace.outputs, 'out'),
      budgetBytes: 2 ** 30,
      peakDeviceBytes: aNumber,
      stages: ['calibrate', 'emulate', 'train', 'correct', 'refine'].map((name) => ({
        name,
        seconds: aNumber,
        peakDeviceBytes: aNumber,
      })),
      validation: {
        base: aNumber,
        emulator: aNumber,
        emulatorTuned: aNumber,
        uncorrected: aNumber,
        corrected: aNumber,
        refined: aNumber,
      },
      correction: {
        chosen: expect.stringMatching(/^(none|1|3|10)$/),
        scores: { none: aNumber, 1: aNumber, 3: aNumber, 10: aNumber },
      },
      emulator: {
        parameters: aNumber,
        originalParameters: aNumber,
        worstLayer: { name: expect.stringMatching(/^model\.layers\.\d\./), relativeError: aNumber },
      },
      train: { steps: 2, tokens: aNumber, tokensPerSecond: aNumber, finalLoss: aNumber },
      ending: expect.stringMatching(/^(sound|worse)$/),
      courses: {
        train: { curve: null, chosenStep: 2, divergence: null, stoppedEarly: false },
        refine: { curve: null, chosenStep: 1, divergence: null, stoppedEarly: false },
      },
    });
    const { chosen, scores } = report.correction ?? { chosen: '', scores: {} };
    expect(scores[chosen]).toBe(Math.min(...Object.values(scores)));
    expect(report.validation.uncorrected).toBe(scores['none']);
    expect(report.validation.corrected).toBe(
      Math.min(...['1', '3', '10'].map((key) => scores[key] ?? Number.NaN)),
    );
    expect(report.peakDeviceBytes).toBe(
      Math.max(...report.stages.map((stage) => stage.peakDeviceBytes)),
    );
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(report.budgetBytes);
    expect(events.filter((event) => event.type === 'step').map((event) => event.stage)).toEqual([
      'train',
      'train',
      'refine',
    ]);
    expect(Object.keys(files)).toEqual(adapterFiles);
    expect(await workspace.leftovers()).toEqual(['out']);
    for (const folder of ['.', 'uncorrected'])
      expect((await readPeftAdapter(join(workspace.outputs, 'out', folder))).layers.size).toBe(28);
    for (const name of adapterFiles) {
      const bytes = await readFile(join(workspace.outputs, 'out', name));
      for (const path of [workspace.outputs, workspace.data, tinyModel])
        expect(bytes.includes(path)).toBe(false);
      if (name.endsWith('.json'))
        expect(bytes.toString()).not.toMatch(/\d{4}-\d\d-\d\dT|\d{2}:\d{2}:\d{2}/);
    }
  });

  it('gives the same bytes at the least budget, without prefetch, with little host memory and in a second run', async () => {
    const generous = await run('generous');
    const budget = await leastBytes();
    const least = await run('least', { vramBytes: budget });
    expect(least.report.peakDeviceBytes).toBeLessThanOrEqual(budget);
    expect(least.report.peakDeviceBytes).toBeLessThan(generous.report.peakDeviceBytes);
    const others = [
      await run('least-again', { vramBytes: budget }),
      await run('no-prefetch', { vramBytes: budget, prefetch: false }),
      await run('little-host', { vramBytes: Math.ceil(budget * 1.3), hostBytes: 700_000 }),
    ];
    for (const { report, files } of [least, ...others]) {
      expect(files).toEqual(generous.files);
      expect(report.validation).toEqual(generous.report.validation);
      expect(report.job).toBe(generous.report.job);
    }
  });

  it('trains plain LoRA at ratio 1, and reports nulls where there is no emulator', async () => {
    const { report, files } = await run('out', { ratios: ['1'] });
    expect(report.stages.map(({ name }) => name)).toEqual(['train']);
    expect(report.validation).toEqual({
      base: aNumber,
      emulator: null,
      emulatorTuned: null,
      uncorrected: aNumber,
      corrected: null,
      refined: null,
    });
    expect(report.correction).toBeNull();
    expect(report.emulator).toBeNull();
    expect(files['adapter_model.safetensors']).toEqual(
      files['uncorrected/adapter_model.safetensors'],
    );
    expect(report.validation.uncorrected).toBeLessThan(report.validation.base);
  });

  it('scores only none where no correction is wanted', async () => {
    const { report, files } = await run('out', { correction: 'none', refineSteps: 0 });
    expect(report.correction).toEqual({
      chosen: 'none',
      scores: { none: report.validation.uncorrected },
    });
    expect(report.validation.corrected).toBeNull();
    expect(report.validation.refined).toBeNull();
    expect(report.stages.map(({ name }) => name)).toEqual([
      'calibrate',
      'emulate',
      'train',
      'correct',
    ]);
    expect(files['adapter_model.safetensors']).toEqual(
      files['uncorrected/adapter_model.safetensors'],
    );
  });

  it('applies a correction that is given as a number', async () => {
    const { report, files } = await run('out', { correction: 2.5, refineSteps: 0 });
    expect(report.correction?.chosen).toBe('2.5');
    expect(report.validation.corrected).toBe(report.correction?.scores['2.5']);
    expect(files['adapter_model.safetensors']).not.toEqual(
      files['uncorrected/adapter_model.safetensors'],
    );
  });

  it('keeps layers whole that no ratio names', async () => {
    const { report } = await run('out', {
      ratios: [String.raw`.*\.1\.mlp\..*=0.25`],
      refineSteps: 0,
    });
    expect(report.emulator?.worstLayer.name).toMatch(/^model\.layers\.1\.mlp\./);
    expect(report.emulator?.parameters).toBeLessThan(report.emulator?.originalParameters ?? 0);
  });

  it('takes the memory of inference where no budget is given', async () => {
    const { report } = await run('out', {
      vramBytes: null,
      maxLength: 256,
      batch: 2,
      steps: 1,
      refineSteps: 0,
      correction: 'none',
    });
    expect(report.budgetBytes).toBeGreaterThan(4 * (report.emulator?.originalParameters ?? 0));
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(report.budgetBytes);
  });
});

describe('tune refuses', () => {
  it('an output folder that is not empty, and leaves it alone', async () => {
    await mkdir(join(workspace.outputs, 'out'));
    await writeFile(join(workspace.outputs, 'out', 'notes.txt'), 'mine');
    await expect(run('out')).rejects.toMatchObject({ code: 'PIPELINE_OUTPUT_EXISTS' });
    await expect(run('out', {}, { overwrite: true })).rejects.toMatchObject({
      code: 'PIPELINE_OUTPUT_EXISTS',
    });
    expect(await readFile(join(workspace.outputs, 'out', 'notes.txt'), 'utf8')).toBe('mine');
    expect(await workspace.leftovers()).toEqual(['out']);
  });

  it('an output that is a file', async () => {
    await writeFile(join(workspace.outputs, 'out'), '');
    await expect(run('out')).rejects.toMatchObject({ code: 'PIPELINE_OUTPUT_EXISTS' });
  });

  it('an adapter that is there already, unless it may be overwritten', async () => {
    const quick = { steps: 1, refineSteps: 0, ratios: ['1'] };
    const first = await run('out', quick);
    await expect(run('out', quick)).rejects.toMatchObject({ code: 'PIPELINE_OUTPUT_EXISTS' });
    const second = await run('out', { ...quick, seed: 1 }, { overwrite: true });
    expect(second.files['adapter_model.safetensors']).not.toEqual(
      first.files['adapter_model.safetensors'],
    );
    expect(await workspace.leftovers()).toEqual(['out']);
  });

  it('a budget that is too small with the bytes that do fit, before the device is taken', async () => {
    const target = cpuTarget();
    const refusal = await run('out', { vramBytes: 100_000 }, { target }).then(
      () => null,
      (error: unknown) => error as Error,
    );
    expect(refusal).toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
      message: expect.stringMatching(/stage \w+ does not fit into 97\.66 KiB/),
    });
    expect(target.opened).toEqual([]);
    const needed = Number(/\((\d+) bytes\)/.exec(refusal?.message ?? '')?.[1]);
    await expect(run('out', { vramBytes: needed - 1 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
    });
    expect(await workspace.leftovers()).toEqual([]);
    const { report } = await run('out', { vramBytes: needed });
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(needed);
  });

  it('more tokens than the model has positions', async () => {
    await expect(run('out', { maxLength: 4096 })).rejects.toMatchObject({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringContaining('1024'),
    });
  });
});

it('a job without a maximum length is the one with what the model has, and usually has', async () => {
  const model = join(workspace.outputs, '..', 'short-model');
  await cp(tinyModel, model, { recursive: true });
  const path = join(model, 'config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...config, max_position_embeddings: 48 }));
  const idOf = async (overrides: Partial<TuneOptions>): Promise<string> => {
    const job = await prepareJob(workspace.options(overrides));
    await job.close();
    expect(job.longestRow).toBeLessThanOrEqual(job.options.maxLength);
    return job.id;
  };
  expect(await idOf({ model, maxLength: null })).toBe(await idOf({ model, maxLength: 48 }));
  expect(await idOf({ maxLength: null })).toBe(await idOf({ maxLength: 1024 }));
  await expect(idOf({ model, maxLength: 49 })).rejects.toMatchObject({
    code: 'PIPELINE_INVALID_OPTION',
  });
});

describe('tune that does not finish', () => {
  it('leaves nothing behind when it is aborted before anything is done', async () => {
    const abort = new AbortController();
    const observer = (event: JobEvent): void => {
      if (event.type === 'stage' && event.stage === 'calibrate') abort.abort(new Error('stopped'));
    };
    await expect(run('out', {}, { observer, signal: abort.signal })).rejects.toMatchObject({
      code: 'PIPELINE_INTERRUPTED',
    });
    expect(await workspace.leftovers()).toEqual([]);
  });

  it('keeps its progress when its observer throws', async () => {
    const observer = (event: JobEvent): void => {
      if (event.type === 'step') throw new Error('observer');
    };
    await expect(run('out', {}, { observer })).rejects.toThrow('observer');
    expect(await workspace.leftovers()).toEqual(['.out.job']);
  });

  it('does not start where it is aborted already', async () => {
    const target = cpuTarget();
    await expect(
      run('out', {}, { target, signal: AbortSignal.abort(new Error('early')) }),
    ).rejects.toThrow('early');
    expect(target.opened).toEqual([]);
    expect(await workspace.leftovers()).toEqual([]);
  });
});
