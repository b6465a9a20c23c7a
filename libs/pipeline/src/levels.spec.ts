import { join } from 'node:path';
import { bytesPerElement } from '@emloc/device';
import { cpuProfile } from '@emloc/device-cpu';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { cpuTarget, tuneHost } from '../test/fixtures.js';
import { useJobs } from '../test/jobs.js';
import { openPictureWorkspace } from '../test/picture-workspace.js';
import { factorSpecs } from './job/factor-store.js';
import type { Job } from './job/job.js';
import { nestedFactors } from './job/nested-factors.js';
import type { JobEvent } from './job/observer.js';
import type { TuneReport } from './job/tune-report.js';
import type { TuneOptions } from './options/resolve.js';
import { fitMemory } from './plan/fit-memory.js';
import { planJob } from './plan/plan.js';
import { tune } from './tune.js';

const shape: Partial<TuneOptions> = {
  levels: '0.2:3,0.4:2x3,1:2x4',
  ratios: [],
  steps: null,
  refineSteps: null,
  batch: 2,
  maxLength: 32,
  calibrationRows: 2,
  correction: 3,
};

const jobs = useJobs(shape, { checkpointSteps: 1 });
const { run, digests, withJob } = jobs;

describe('a job with levels', () => {
  let whole: TuneReport;
  const moments: { readonly event: JobEvent; readonly snapshot: string }[] = [];
  beforeAll(async () => {
    const out = join(jobs.workspace.outputs, 'whole');
    const observer = (event: JobEvent): void => {
      const snapshot = join(jobs.workspace.outputs, '..', 'snapshots', String(moments.length));
      takeSnapshot(out, snapshot);
      moments.push({ event, snapshot });
    };
    whole = await run('whole', {}, { observer });
  });

  it('trains each level for its steps, on the original last', () => {
    const steps = moments.flatMap(({ event }) => (event.type === 'step' ? [event] : []));
    expect(steps.map(({ stage, step }) => `${stage} ${step}`)).toEqual([
      ...[1, 2, 3, 4, 5].map((step) => `train ${step}`),
      ...[1, 2].map((step) => `refine ${step}`),
    ]);
    // Each level restarts the learning rate: warm-up, then its course; the last has twice the rows.
    const rates = steps.map(({ learningRate }) => 1e3 * learningRate);
    const last = [Math.SQRT2, 2 * Math.SQRT2];
    for (const [step, rate] of [1, 2, 1, 1, 2, ...last].entries())
      expect(rates[step]).toBeCloseTo(rate, 9);
    expect(whole.courses.train.curve?.map(({ step }) => step)).toEqual([0, 3, 5]);
    expect(whole.validation.refined).not.toBeNull();
  });

  it('gives the same bytes in the least budget, which the plan knows', async () => {
    const profile = cpuTarget().profile;
    const { neededBytes } = await withJob({}, (job) =>
      fitMemory({ job, profile, budgetBytes: 2 ** 40 }),
    );
    const report = await run('tight', { vramBytes: neededBytes });
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
    expect(await digests('tight')).toEqual(await digests('whole'));
    await expect(run('tighter', { vramBytes: neededBytes - 1 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
    });
  });

  it('goes on to the same bytes from a change of levels and from steps behind one', async () => {
    const isMeant = (event: JobEvent): boolean =>
      event.type === 'step'
        ? event.step === (event.stage === 'train' ? 4 : 2)
        : event.type === 'notice' && event.message.includes('level 2 of 2');
    const seen = moments.filter(({ event }) => isMeant(event));
    expect(seen.length).toBe(3);
    for (const [index, { snapshot }] of seen.entries()) {
      const name = `crash-${index}`;
      await leaveCrash(join(jobs.workspace.outputs, name), snapshot);
      await run(name, { vramBytes: 2 ** 29 }, { mode: 'resume' });
      expect([index, await digests(name)]).toEqual([index, await digests('whole')]);
      await jobs.workspace.remove(name);
    }
  });

  it('ends on the finest emulator where no level is the original', async () => {
    const report = await run('emulated', { levels: '0.2:1,0.4:1' });
    expect(report.validation.refined).toBeNull();
    expect(report.train.steps).toBe(2);
  });

  it('has the seconds of the steps at each level in its plan', async () => {
    const rate = { secondsPerFlop: 1, secondsPerByte: 0, secondsPerCall: 0 };
    const rates = {
      ...{ kernels: {}, otherwise: rate, uploadSecondsPerByte: 0, downloadSecondsPerByte: 0 },
    };
    const secondsOf = (levels: string): Promise<number> =>
      withJob({ levels }, async (job) => {
        const plan = await planJob({ job, profile: cpuProfile, budgetBytes: 2 ** 30, rates });
        return plan.stages.find(({ name }) => name === 'train')?.seconds ?? NaN;
      });
    const [base, coarse, fine] = [
      await secondsOf('0.2:4,0.8:4'),
      await secondsOf('0.2:8,0.8:4'),
      await secondsOf('0.2:4,0.8:8'),
    ];
    expect(coarse).toBeGreaterThan(base);
    expect(fine - base).toBeGreaterThan(1.2 * (coarse - base));
  });
});

it('trains a model that makes pictures from coarse to fine', async () => {
  const { outputs, options, close } = await openPictureWorkspace(3, { hasGuidance: false });
  const steps: string[] = [];
  const observer = (event: JobEvent): void => {
    if (event.type === 'step') steps.push(`${event.stage} ${event.step} ${event.tokens}`);
  };
  const job = options({
    ...{ levels: '0.3:1,0.6:1x2,1:1', steps: null, refineSteps: null, batch: 1 },
    ...{ emulatorMetric: 'loss', calibrationRows: 1, gradientAccumulation: 1 },
    correction: 'none',
    out: join(outputs, 'levels'),
  });
  const report = await tune(job, tuneHost({ observer }));
  // One picture a step, two at the second level.
  expect(steps).toEqual(['train 1 1', 'train 2 2', 'refine 1 1']);
  expect(report.validation.refined).not.toBeNull();
  await close();
});

describe('factors of a level', () => {
  it('are the first columns and rows of the finest ones', async () => {
    await withJob({ levels: '0.2:1,0.4:1' }, async ({ emulated: finest, levels }) => {
      const emulated = levels?.[0]?.emulated ?? [];
      const [whole, nested] = [finest[0], emulated[0]];
      if (!whole || !nested) throw new Error('no linears');
      expect(nested.rank).toBeLessThan(whole.rank);
      expect(nested.rank).toBeGreaterThan(whole.rank / 3);
      const profile = { ...cpuProfile, rankMultiple: 4 };
      const stored = new Map(
        factorSpecs(whole, profile).map(({ name, shape }) => [
          name,
          Float32Array.from({ length: (shape[0] ?? 0) * (shape[1] ?? 0) }, (_, i) => i + 1),
        ]),
      );
      const { read } = nestedFactors(
        {
          read: (_block, tensor, destination) => {
            destination.set(new Uint8Array((stored.get(tensor) ?? new Float32Array()).buffer));
            return Promise.resolve();
          },
        },
        { finest, emulated, profile },
      );
      const [[uWhole], [u, v]] = [factorSpecs(whole, profile), factorSpecs(nested, profile)];
      const element = bytesPerElement.float32;
      const valuesOf = async ({ name, shape }: typeof u): Promise<Float32Array> => {
        const bytes = new Uint8Array((shape[0] ?? 0) * (shape[1] ?? 0) * element).fill(255);
        await read(whole.block, name, bytes);
        return new Float32Array(bytes.buffer);
      };
      const [uValues, vValues] = [await valuesOf(u), await valuesOf(v)];
      const [padded = 0, stride = 0] = [u.shape[1], uWhole.shape[1]];
      uValues.forEach((value, i) => {
        const [row, column] = [Math.floor(i / padded), i % padded];
        expect(value).toBe(column < nested.rank ? row * stride + column + 1 : 0);
      });
      vValues.forEach((value, i) =>
        expect(value).toBe(i < nested.rank * nested.inFeatures ? i + 1 : 0),
      );
    });
  });

  it('stand to each other as the levels do, also where a pattern has its own ratio', async () => {
    const overrides = { levels: '0.2:1,0.4:1', ratios: ['.*q_proj=0.3', '.*k_proj=1'] };
    await withJob(overrides, ({ emulated, levels }) => {
      const ratios = (linears: Job['emulated'], name: string): Set<number> =>
        new Set(linears.filter(({ path }) => path.endsWith(name)).map(({ ratio }) => ratio));
      const first = levels?.[0]?.emulated ?? [];
      expect([...ratios(emulated, 'q_proj')]).toEqual([0.3]);
      expect([...ratios(first, 'q_proj')][0]).toBeCloseTo(0.15, 9);
      expect([...ratios(emulated, 'o_proj')]).toEqual([0.4]);
      expect([...ratios(first, 'o_proj')][0]).toBeCloseTo(0.2, 9);
      for (const linears of [emulated, first]) expect([...ratios(linears, 'k_proj')]).toEqual([]);
    });
  });
});
