import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Device, MemoryBudget, quantizedBits, quantizedFormats } from '@emloc/device';
import { cpuProfile } from '@emloc/device-cpu';
import { createNullBackend } from '@emloc/device-null';
import { allDeviceBytes, wholeDeviceBytes } from '@emloc/weight-pager';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { tuneHost } from '../test/fixtures.js';
import { useJobs } from '../test/jobs.js';
import { openPictureWorkspace } from '../test/picture-workspace.js';
import { emulatorSource, plannedFactorStore } from './job/factor-store.js';
import type { JobEvent } from './job/observer.js';
import { trainedOriginal } from './job/storage.js';
import type { TuneReport } from './job/tune-report.js';
import type { TuneOptions } from './options/resolve.js';
import { fitMemory } from './plan/fit-memory.js';
import { planJob } from './plan/plan.js';
import { tune } from './tune.js';

const small: Partial<TuneOptions> = {
  ...{ batch: 2, maxLength: 32, calibrationRows: 2, storage: 'nf4' },
};
/** Plain LoRA, and an emulator that is refined. */
const plain: Partial<TuneOptions> = { ratios: ['1'], storage: 'int8' };
const noTime = { secondsPerFlop: 0, secondsPerByte: 0, secondsPerCall: 0 };
const rates = {
  ...{ kernels: {}, otherwise: noTime, uploadSecondsPerByte: 0, downloadSecondsPerByte: 0 },
};

const jobs = useJobs(small);
const { run, digests, withJob } = jobs;

async function record(name: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(jobs.workspace.outputs, name, 'emloc.json'), 'utf8');
  return JSON.parse(text) as Record<string, unknown>;
}

const peaksOf = ({ stages }: Pick<TuneReport, 'stages'>) =>
  stages.map(({ name, peakDeviceBytes }) => [name, peakDeviceBytes]);

describe.each([
  ['an emulator in nf4 that is refined', {}],
  ['plain LoRA in int8', plain],
] as const)('%s', (title, overrides) => {
  const name = title.replaceAll(' ', '-');
  const snapshots: string[] = [];
  beforeAll(async () => {
    const observer = (event: JobEvent): void => {
      if (event.type !== 'step') return;
      snapshots.push(join(jobs.workspace.outputs, '..', name, String(snapshots.length)));
      takeSnapshot(join(jobs.workspace.outputs, name), snapshots.at(-1) ?? '');
    };
    await run(name, overrides, { observer, checkpointSteps: 1 });
  });

  it('comes to the same bytes at every budget, whose peaks are those of the plan', async () => {
    expect(await record(name)).toMatchObject({ storage: { ...small, ...overrides }.storage });
    const neededBytes = await withJob(overrides, async (job) => {
      const fit = await fitMemory({ job, profile: cpuProfile, budgetBytes: 2 ** 40 });
      return fit.neededBytes;
    });
    for (const [index, vramBytes] of [neededBytes, Math.ceil(1.3 * neededBytes)].entries()) {
      const found = await run(`${name}-${index}`, { ...overrides, vramBytes });
      expect(await digests(`${name}-${index}`)).toEqual(await digests(name));
      const planned = await withJob({ ...overrides, vramBytes }, (job) =>
        planJob({ job, profile: cpuProfile, budgetBytes: vramBytes, rates }),
      );
      expect(peaksOf(found)).toEqual(peaksOf(planned));
      expect(found.peakDeviceBytes).toBeLessThanOrEqual(vramBytes);
    }
    await expect(run('less', { ...overrides, vramBytes: neededBytes - 1 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
    });
  });

  it('goes on to the same bytes after a crash, and not with another storage', async () => {
    expect(snapshots.length).toBeGreaterThan(1);
    for (const [index, snapshot] of snapshots.entries()) {
      const killed = `${name}-killed-${index}`;
      await leaveCrash(join(jobs.workspace.outputs, killed), snapshot);
      if (index === snapshots.length - 1)
        await expect(
          run(killed, { ...overrides, storage: 'model' }, { mode: 'resume' }),
        ).rejects.toMatchObject({ code: 'PIPELINE_RESUME_MISMATCH' });
      await run(killed, overrides, { mode: 'resume' });
      expect(await digests(killed)).toEqual(await digests(name));
    }
  });
});

it('learns something else in each storage, from the same calibration', async () => {
  const one = { refineSteps: 0, correction: 'none' } as const;
  const adapters = new Set<string>();
  const errors = new Set<unknown>();
  for (const storage of ['model', ...quantizedFormats] as const) {
    await run(`alone-${storage}`, { ...one, storage });
    adapters.add((await digests(`alone-${storage}`))[0] ?? '');
    const { emulator } = (await record(`alone-${storage}`)) as { emulator: { layers: unknown } };
    errors.add(JSON.stringify(emulator.layers));
  }
  expect([adapters.size, errors.size]).toEqual([3, 1]);
});

it('losses that count are of the original with its own weights', async () => {
  const notices: string[] = [];
  const observer = (event: JobEvent): void => {
    if (event.type === 'notice') notices.push(event.message);
  };
  const losses = new Map<string, number>();
  for (const storage of ['model', ...quantizedFormats] as const) {
    await run(
      `base-${storage}`,
      { ...plain, storage, steps: 1, learningRate: 1e-12 },
      { observer },
    );
    const { validation } = (await record(`base-${storage}`)) as {
      validation: { base: number; uncorrected: number };
    };
    losses.set(storage, validation.base);
    expect(validation.uncorrected).toBeCloseTo(validation.base, 5);
  }
  expect(losses.get('int8')).toBe(losses.get('model'));
  expect(losses.get('nf4')).toBe(losses.get('model'));
  const told = notices.flatMap((text) => /own weights, ([\d.]+) on .* nf4/.exec(text)?.[1] ?? []);
  expect(told).toHaveLength(1);
  expect(Number(told[0])).not.toBeCloseTo(losses.get('model') ?? 0, 3);
});

it('holds weights of linears and factors alone in 8.5 or 4.5 bits', async () => {
  const device = new Device(createNullBackend(cpuProfile), new MemoryBudget(2 ** 40));
  for (const storage of quantizedFormats)
    await withJob({ storage }, (job) => {
      const sources = {
        original: trainedOriginal(job),
        emulator: emulatorSource(job, job.emulated, {
          ...{ store: plannedFactorStore, profile: cpuProfile },
        }),
      };
      for (const source of Object.values(sources)) {
        const tensors = source.layers.flatMap(({ tensors: all }) => all);
        const held = tensors.filter((tensor) => tensor.storage);
        expect(held.every((tensor) => tensor.storage === storage)).toBe(true);
        const left = tensors.filter((tensor) => !tensor.storage).map(({ name }) => name);
        expect(left.filter((name) => !/norm|bias|embed|lm_head/.test(name))).toEqual([]);
        expect(left.length).toBeGreaterThan(0);
      }
      const linears = job.model.layout.linears.reduce(
        (sum, { inFeatures, outFeatures }) => sum + inFeatures * outFeatures,
        0,
      );
      const saved = (linears * (32 - quantizedBits(storage))) / 8;
      const found =
        wholeDeviceBytes(sources.original, device) - allDeviceBytes(sources.original, device);
      expect(Math.abs(found / saved - 1)).toBeLessThan(0.01);
    });
  await device.close();
});

it('holds the original of anchors and of the last level small, too', async () => {
  const levels: Partial<TuneOptions> = {
    ...{ levels: '0.2:2,1:1', anchorSteps: 2, anchorRows: 2 },
    ...{ ratios: [], steps: null, refineSteps: null, correction: 'none' },
  };
  const most = await run('levels', levels);
  const neededBytes = await withJob(levels, async (job) => {
    const fit = await fitMemory({ job, profile: cpuProfile, budgetBytes: 2 ** 40 });
    return fit.neededBytes;
  });
  const least = await run('levels-least', { ...levels, vramBytes: neededBytes });
  expect(least.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
  expect(most.peakDeviceBytes).toBeGreaterThan(neededBytes);
  expect(await digests('levels-least')).toEqual(await digests('levels'));
});

it('is for models that make pictures, too', async () => {
  const pictures = await openPictureWorkspace(3, { hasGuidance: false });
  const notices: string[] = [];
  const observer = (event: JobEvent): void => {
    if (event.type === 'notice') notices.push(event.message);
  };
  const out = join(pictures.outputs, 'held');
  const options = pictures.options({ ratios: ['0.5'], storage: 'nf4', calibrationRows: 1, out });
  const { train, validation } = await tune(options, tuneHost({ observer }));
  expect(Number.isFinite(train.finalLoss)).toBe(true);
  expect(Number.isFinite(validation.refined)).toBe(true);
  expect(notices.filter((text) => text.includes('on those that nf4 holds'))).toHaveLength(1);
  await pictures.close();
});

it('is one of three', () => {
  expect(() => jobs.workspace.options({ storage: 'fp8' as 'nf4' })).toThrow(
    expect.objectContaining({
      code: 'PIPELINE_INVALID_OPTION',
      message: 'option storage: "fp8" given, model, int8, nf4 expected',
    }),
  );
});
