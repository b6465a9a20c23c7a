import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpuProfile } from '@emloc/device-cpu';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { cpuTarget, tuneHost } from '../test/fixtures.js';
import { useJobs } from '../test/jobs.js';
import { openPictureWorkspace } from '../test/picture-workspace.js';
import type { JobEvent } from './job/observer.js';
import type { TuneOptions } from './options/resolve.js';
import { fitMemory } from './plan/fit-memory.js';
import { planWays } from './plan/plan-ways.js';
import { planJob, type JobPlan } from './plan/plan.js';
import { tune } from './tune.js';

const shape: Partial<TuneOptions> = {
  levels: '0.2:3,0.4:2x3',
  anchorSteps: 2,
  anchorRows: 5,
  ratios: [],
  steps: null,
  refineSteps: null,
  batch: 2,
  maxLength: 32,
  calibrationRows: 2,
  correction: 3,
};

const rate = { secondsPerFlop: 1e-9, secondsPerByte: 0, secondsPerCall: 0 };

const jobs = useJobs(shape, { checkpointSteps: 1 });
const { run, digests, withJob } = jobs;

describe('a job with anchors', () => {
  const moments: { readonly event: JobEvent; readonly snapshot: string }[] = [];
  beforeAll(async () => {
    const out = join(jobs.workspace.outputs, 'whole');
    const observer = (event: JobEvent): void => {
      const snapshot = join(jobs.workspace.outputs, '..', 'snapshots', String(moments.length));
      takeSnapshot(out, snapshot);
      moments.push({ event, snapshot });
    };
    await run('whole', {}, { observer });
  });

  it('takes them at the first step of each level and every so many after it, and says so', async () => {
    const steps = moments.flatMap(({ event }) => (event.type === 'step' ? [event] : []));
    expect(steps.map(({ level, anchor }) => [level, anchor])).toEqual([
      [1, true],
      [1, false],
      [1, true],
      [2, true],
      [2, false],
    ]);
    const folder = join(jobs.workspace.outputs, 'whole');
    const record: unknown = JSON.parse(await readFile(join(folder, 'emloc.json'), 'utf8'));
    expect(record).toMatchObject({ training: { anchors: { everySteps: 2, rows: 5, planned: 3 } } });
    const log = (await readFile(join(folder, 'log.jsonl'), 'utf8')).trimEnd().split('\n');
    const lines = log.map((line) => JSON.parse(line) as { event: string; anchor?: boolean });
    expect(lines.filter(({ event }) => event === 'step').map(({ anchor }) => anchor)).toEqual([
      ...[true, false, true, true, false],
    ]);
  });

  it('learns something else than without', async () => {
    await run('plain', { anchorSteps: null, anchorRows: null });
    expect((await digests('plain'))[2]).not.toBe((await digests('whole'))[2]);
  });

  it('gives the same bytes in the least budget, which the plan knows to the byte', async () => {
    const { profile } = cpuTarget();
    const needed = (overrides: Partial<TuneOptions>): Promise<number> =>
      withJob(overrides, async (job) => {
        const fit = await fitMemory({ job, profile, budgetBytes: 2 ** 40 });
        return fit.neededBytes;
      });
    const neededBytes = await needed({});
    const report = await run('tight', { vramBytes: neededBytes });
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
    expect(await digests('tight')).toEqual(await digests('whole'));
    await expect(run('tighter', { vramBytes: neededBytes - 1 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
    });
    // Room for the emulator and a part of the original.
    const vramBytes = Math.round(1.2 * neededBytes);
    const some = await run('some', { vramBytes });
    expect(await digests('some')).toEqual(await digests('whole'));
    const peaks = await withJob({ vramBytes }, async (job) => {
      const rates = {
        kernels: {},
        otherwise: rate,
        uploadSecondsPerByte: 0,
        downloadSecondsPerByte: 0,
      };
      const { stages } = await planJob({ job, profile, budgetBytes: vramBytes, rates });
      return stages.map(({ name, peakDeviceBytes }) => [name, peakDeviceBytes]);
    });
    expect(some.stages.map(({ name, peakDeviceBytes }) => [name, peakDeviceBytes])).toEqual(peaks);
  });

  it('goes on to the same bytes from the step before an anchor, and from one behind it', async () => {
    const isMeant = (event: JobEvent) => event.type === 'step' && [3, 5].includes(event.step);
    const seen = moments.filter(({ event }) => isMeant(event));
    expect(seen.length).toBe(2);
    for (const [index, { snapshot }] of seen.entries()) {
      const name = `crash-${index}`;
      await leaveCrash(join(jobs.workspace.outputs, name), snapshot);
      await run(name, { vramBytes: 2 ** 29 }, { mode: 'resume' });
      expect([index, await digests(name)]).toEqual([index, await digests('whole')]);
      await jobs.workspace.remove(name);
    }
  });

  it('goes on with Prodigy, LoRA+, validations and accumulation as it would have', async () => {
    const changes: readonly Partial<TuneOptions>[] = [
      { optimizer: 'prodigy', learningRate: 1 },
      { loraPlusRatio: 4, gradientAccumulation: 2, evalSteps: 1 },
    ];
    for (const [index, change] of changes.entries()) {
      const overrides: Partial<TuneOptions> = {
        ...{ ...change, levels: null, ratios: ['0.4'], steps: 4, refineSteps: 0 },
        ...{ correction: 'none', anchorSteps: 3 },
      };
      const out = join(jobs.workspace.outputs, `all-${index}`);
      const snapshot = join(jobs.workspace.outputs, '..', `snapshot-${index}`);
      const observer = (event: JobEvent): void => {
        if (event.type === 'step' && event.step === 3) takeSnapshot(out, snapshot);
      };
      await run(`all-${index}`, overrides, { observer });
      await leaveCrash(join(jobs.workspace.outputs, `rest-${index}`), snapshot);
      await run(`rest-${index}`, overrides, { mode: 'resume' });
      expect(await digests(`rest-${index}`)).toEqual(await digests(`all-${index}`));
    }
  });
});

describe('the plan of a job with anchors', () => {
  const planned = (overrides: Partial<TuneOptions>, uploadSecondsPerByte = 0): Promise<JobPlan> =>
    withJob({ levels: null, ratios: ['0.4'], steps: 40, ...overrides }, (job) => {
      const rates = {
        kernels: {},
        otherwise: rate,
        uploadSecondsPerByte,
        downloadSecondsPerByte: 0,
      };
      return planJob({ job, profile: cpuProfile, budgetBytes: 2 ** 30, rates });
    });
  const trainingOf = ({ stages }: JobPlan): number =>
    stages.find(({ name }) => name === 'train')?.seconds ?? Number.NaN;

  it('has passes over the original, and their time', async () => {
    const none = await planned({ anchorSteps: null, anchorRows: null });
    const [few, many, large] = [
      await planned({ anchorSteps: 20 }),
      await planned({ anchorSteps: 10 }),
      await planned({ anchorSteps: 10, anchorRows: 10 }),
    ];
    expect([none, few, many, large].map(({ anchors }) => anchors)).toEqual([
      null,
      ...[
        { passes: 2, rows: 5 },
        { passes: 4, rows: 5 },
        { passes: 4, rows: 10 },
      ],
    ]);
    const [first, second, third, fourth] = [none, few, many, large].map(trainingOf);
    const pass = (Number(second) - Number(first)) / 2;
    expect(pass).toBeGreaterThan(0);
    expect(Number(third) - Number(first)).toBeGreaterThan(3 * pass);
    expect(Number(third) - Number(first)).toBeLessThan(5 * pass);
    expect(Number(fourth) - Number(first)).toBeGreaterThan(1.5 * (Number(third) - Number(first)));
  });

  it('leaves what equals what to the rule, which knows no anchors', async () => {
    const ways = (overrides: Partial<TuneOptions>) =>
      withJob({ levels: null, ratios: ['0.4'], steps: 6, ...overrides }, (job) => {
        const rates = {
          kernels: {},
          otherwise: rate,
          uploadSecondsPerByte: 0,
          downloadSecondsPerByte: 0,
        };
        return planWays({ job, profile: cpuProfile, budgetBytes: 2 ** 30, rates });
      });
    const found = await ways({});
    expect(found?.ways.map(({ fits }) => fits)).toEqual([true, false, true]);
    expect(found).toEqual(await ways({ anchorSteps: null, anchorRows: null }));
  });

  it('is the same however many steps are rehearsed', async () => {
    // More than are rehearsed, of which the first alone is an anchor.
    const [short, long] = [
      await planned({ steps: 300, anchorSteps: 280 }),
      await planned({ steps: 300, anchorSteps: null, anchorRows: null }),
    ];
    const passes = trainingOf(short) - trainingOf(long);
    const [one, two] = [
      await planned({ steps: 40, anchorSteps: 20 }),
      await planned({ steps: 40, anchorSteps: null, anchorRows: null }),
    ];
    const expected = trainingOf(one) - trainingOf(two);
    expect(Math.abs(passes / expected - 1)).toBeLessThan(0.3);
  });
});

describe('options of anchors', () => {
  it.each([
    ['rows alone', { anchorSteps: null }, 'anchorRows'],
    ['no steps', { anchorSteps: 0 }, 'anchorSteps'],
    ['no rows', { anchorRows: 0 }, 'anchorRows'],
    ['part of a step', { anchorSteps: 1.5 }, 'anchorSteps'],
    ['the original', { levels: null, ratios: ['1'], steps: 2 }, 'anchorSteps'],
    ['method paged', { levels: null, method: 'paged', steps: 2 }, 'anchorSteps'],
    ['method resident', { levels: null, method: 'resident', steps: 2 }, 'anchorSteps'],
    ['method auto', { levels: null, method: 'auto', steps: 2 }, 'anchorSteps'],
  ] as const)('are refused by name: %s', (_name, overrides, option) => {
    const given = { ...shape, ...overrides } as Partial<TuneOptions>;
    expect(() => jobs.workspace.options(given)).toThrow(
      expect.objectContaining({
        code: 'PIPELINE_INVALID_OPTION',
        message: expect.stringContaining(option) as string,
      }),
    );
  });

  it('are refused where patterns leave every layer whole', async () => {
    const overrides = { levels: null, ratios: ['nothing=0.5'], steps: 2 };
    await expect(withJob(overrides, () => undefined)).rejects.toMatchObject({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringContaining('anchorSteps') as string,
    });
  });
});

it('anchors a model that makes pictures, whose draws are those of its steps', async () => {
  const { outputs, options, close } = await openPictureWorkspace(3, { hasGuidance: false });
  const steps: string[] = [];
  const observer = (event: JobEvent): void => {
    if (event.type === 'step') steps.push(`${event.anchor} ${event.tokens}`);
  };
  const job = options({
    ...{ ratios: ['0.5'], steps: 3, refineSteps: 0, batch: 1, gradientAccumulation: 1 },
    ...{ anchorSteps: 2, anchorRows: 2, calibrationRows: 1, correction: 'none' },
    out: join(outputs, 'anchored'),
  });
  await tune(job, tuneHost({ observer }));
  expect(steps).toEqual(['true 2', 'false 1', 'true 2']);
  await close();
});
