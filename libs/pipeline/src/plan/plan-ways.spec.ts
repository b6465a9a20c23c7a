import { roughRates } from '@emloc/device';
import { cpuProfile } from '@emloc/device-cpu';
import { allDeviceBytes } from '@emloc/weight-pager';

import { openWorkspace, type Workspace } from '../../test/fixtures.js';
import type { Job } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import type { TuneOptions } from '../options/resolve.js';
import { createNullRun } from './null-run.js';
import { planWays } from './plan-ways.js';
import { planJob, requireMemory, residentBytes } from './plan.js';
import type { Way } from './ways.js';

const rates = roughRates({
  flopsPerSecond: 1e11,
  factorizationFlopsPerSecond: 1e10,
  bytesPerSecond: 1e10,
  copyBytesPerSecond: 1e9,
  secondsPerLaunch: 1e-6,
});

const profile = { ...cpuProfile, overlapsCopies: true };

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

function open(overrides: Partial<TuneOptions>): Promise<Job> {
  return prepareJob(workspace.options({ maxLength: 32, steps: 3, ...overrides }));
}

async function waysOf(job: Job, budgetBytes: number): Promise<readonly Way[] | null> {
  const inputs = { job, profile, budgetBytes, rates };
  return await planWays(inputs, await planJob(inputs));
}

function named(ways: readonly Way[] | null, name: Way['name']): Way | undefined {
  return ways?.find((way) => way.name === name);
}

describe('planned ways', () => {
  it('keep all weights from the budget on that is said to be needed, and no byte before', async () => {
    await using job = await open({ ratios: ['1'] });
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
  });

  it("are the job's own plan, and that of its steps at ratio 1", async () => {
    await using job = await open({ ratios: ['0.5'] });
    await using plain = await open({ ratios: ['1'] });
    const budgetBytes = (await residentBytes(plain, profile)) - 1;
    const inputs = { job, profile, budgetBytes, rates };
    const [planned, original] = [await planJob(inputs), await planJob({ ...inputs, job: plain })];
    const ways = await planWays(inputs, planned);
    expect(ways).toMatchObject([
      { name: 'emulator', stepSeconds: planned.stepSeconds },
      { name: 'paged', stepSeconds: original.stepSeconds, seconds: original.stages[0]?.seconds },
      { name: 'resident', fits: false },
    ]);
    expect(original.stepSeconds).toBeGreaterThan(planned.stepSeconds ?? Number.NaN);
  });

  it('are none of a job with levels', async () => {
    await using job = await open({ levels: '0.25:2,0.5:1', steps: null, refineSteps: null });
    expect(await waysOf(job, 2 ** 30)).toBeNull();
  });
});
