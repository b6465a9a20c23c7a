import { roughRates } from '@emloc/device';
import { cpuProfile } from '@emloc/device-cpu';
import { allDeviceBytes } from '@emloc/weight-pager';

import { openWorkspace, type Workspace } from '../../test/fixtures.js';
import type { Job } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import type { TuneOptions } from '../options/resolve.js';
import { requireMemory, residentBytes } from './fit-memory.js';
import { createNullRun } from './null-run.js';
import { bestLevels, planWays, type EqualWays } from './plan-ways.js';
import { planJob } from './plan.js';
import type { Way } from './ways.js';

/** Of a device to which weights are copied at this rate. */
const ratesOf = (copyBytesPerSecond: number) =>
  roughRates({
    flopsPerSecond: 1e11,
    factorizationFlopsPerSecond: 1e10,
    bytesPerSecond: 1e10,
    copyBytesPerSecond,
    secondsPerLaunch: 1e-6,
  });

const rates = ratesOf(1e9);

const profile = { ...cpuProfile, overlapsCopies: true };

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

function open(overrides: Partial<TuneOptions>): Promise<Job> {
  return prepareJob(workspace.options({ maxLength: 32, steps: 3, ...overrides }));
}

function waysOf(job: Job, budgetBytes: number): Promise<EqualWays | null> {
  return planWays({ job, profile, budgetBytes, rates });
}

function named(equal: EqualWays | null, name: Way['name']): Way | undefined {
  return equal?.ways.find((way) => way.name === name);
}

const plain: Partial<TuneOptions> = { method: 'paged', refineSteps: null };

describe('planned ways', () => {
  it('keep all weights from the budget on that is said to be needed, and no byte before', async () => {
    await using job = await open(plain);
    const threshold = await residentBytes(job, profile);
    const fits = async (budgetBytes: number): Promise<readonly (boolean | undefined)[]> => {
      const ways = await waysOf(job, budgetBytes);
      return ['paged', 'resident'].map((name) => named(ways, name as Way['name'])?.fits);
    };
    expect(await fits(threshold)).toEqual([false, true]);
    expect(await fits(threshold - 1)).toEqual([true, false]);
    await using run = createNullRun(job, { profile });
    const all = allDeviceBytes(job.model.source, run.environment.device);
    const pagerBytes = async (budgetBytes: number): Promise<number | null> =>
      (await requireMemory({ job, profile, budgetBytes })).train.pagerBytes;
    expect([await pagerBytes(threshold), await pagerBytes(threshold - 1)]).toEqual([all, all - 1]);
    await using resident = await open({ ...plain, method: 'resident' });
    const memoryIn = (budgetBytes: number) =>
      requireMemory({ job: resident, profile, budgetBytes });
    expect((await memoryIn(threshold)).train.pagerBytes).toBe(all);
    await expect(memoryIn(threshold - 1)).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
      message: expect.stringContaining(`(${threshold} bytes), the budget is`),
    });
  });

  it('are those of the levels and of the plain steps that equal each other', async () => {
    await using job = await open({ ratios: ['0.5'] });
    await using original = await open(plain);
    await using levels = await open({
      ...{ method: 'emulator', levels: '0.25:4,0.5:2,1:1', steps: null, refineSteps: null },
    });
    const budgetBytes = (await residentBytes(original, profile)) - 1;
    const inputs = { profile, budgetBytes, rates };
    const [planned, paged] = await Promise.all([
      planJob({ ...inputs, job: levels }),
      planJob({ ...inputs, job: original }),
    ]);
    const equal = await waysOf(job, budgetBytes);
    expect(equal).toMatchObject({ plainSteps: 3, hasLargeBatches: false });
    expect(equal?.ways).toMatchObject([
      { name: 'emulator', levels: '0.25:4,0.5:2,1:1', steps: 7, stepSeconds: planned.stepSeconds },
      { name: 'paged', levels: null, steps: 3, seconds: paged.stages[0]?.seconds },
      { name: 'resident', fits: false },
    ]);
  });

  it('have a last level that large batches make faster where copies are what it waits for', async () => {
    await using job = await open({ ...plain, steps: 20, batch: 1 });
    const refineSeconds = async (levels: string, copyBytesPerSecond: number) => {
      const variant = job.variant?.({ method: 'emulator', levels, steps: null });
      if (!variant) throw new Error('no variant');
      const given = { profile, budgetBytes: 1, rates: ratesOf(copyBytesPerSecond) };
      const { stages } = await planJob({ ...given, job: variant });
      return stages.find(({ name }) => name === 'refine')?.seconds ?? Number.NaN;
    };
    const [usual, large] = ['0.5:1,1:4', '0.5:1,1:2x4'] as const;
    expect(await refineSeconds(large, 1e6)).toBeLessThan(await refineSeconds(usual, 1e6));
    expect(await refineSeconds(large, 1e12)).toBeGreaterThan(await refineSeconds(usual, 1e12));
  });

  it('have the levels that take less, of those that fit', () => {
    const levels = (fits: boolean, seconds: number) => ({
      plan: {
        ...{ fits, budgetBytes: 1, neededBytes: 1, stepSeconds: null, anchors: null },
        stages: [{ name: 'train' as const, seconds, ...none }],
      },
    });
    const none = { peakDeviceBytes: 0, copySeconds: 0, readSeconds: 0 };
    const [slow, fast, unfit] = [levels(true, 2), levels(true, 1), levels(false, 0)];
    expect(bestLevels([slow, fast])).toBe(fast);
    expect(bestLevels([slow, unfit])).toBe(slow);
    expect(bestLevels([unfit, slow])).toBe(slow);
    expect(bestLevels([unfit])).toBe(unfit);
    expect(bestLevels([])).toBeNull();
    const [tenth, more] = [levels(true, 1.8), levels(true, 1.7)];
    expect(bestLevels([slow, tenth], 0.1)).toBe(slow);
    expect(bestLevels([slow, tenth, more], 0.1)).toBe(more);
  });

  it('are those on the original alone of a job with DoRA', async () => {
    await using job = await open({ ...plain, useDora: true });
    const ways = await waysOf(job, 2 ** 30);
    expect(ways?.ways.map(({ fits }) => fits)).toEqual([false, false, true]);
    expect(named(ways, 'emulator')).toMatchObject({
      reason: 'DoRA is trained on the original alone',
    });
    expect(ways?.levels).toBeNull();
  });

  it('are none of a job with levels', async () => {
    await using job = await open({ levels: '0.25:2,0.5:1', steps: null, refineSteps: null });
    expect(await waysOf(job, 2 ** 30)).toBeNull();
  });
});
