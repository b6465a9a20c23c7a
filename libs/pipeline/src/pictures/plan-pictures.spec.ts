import type { DeviceRates } from '@emloc/device';

import { cpuTarget } from '../../test/fixtures.js';
import { openPictureWorkspace, type PictureWorkspace } from '../../test/picture-workspace.js';
import { prepareJob } from '../job/prepare-job.js';
import type { TuneOptions } from '../options/resolve.js';
import { planJob } from '../plan/plan.js';

/** So that a stage takes as many seconds as it launches kernels. */
const launches: DeviceRates = {
  kernels: {},
  otherwise: { secondsPerFlop: 0, secondsPerByte: 0, secondsPerCall: 1 },
  uploadSecondsPerByte: 0,
  downloadSecondsPerByte: 0,
};

let workspace: PictureWorkspace;

beforeAll(async () => {
  workspace = await openPictureWorkspace();
});

afterAll(() => workspace.close());

/** Launches of a stage, as they are planned. */
async function planned(overrides: Partial<TuneOptions>): Promise<(stage: string) => number> {
  await using job = await prepareJob(workspace.options({ ...overrides, ratios: ['1'] }));
  const { profile } = cpuTarget();
  const { stages } = await planJob({ job, profile, budgetBytes: 2 ** 40, rates: launches });
  return (stage) => stages.find(({ name }) => name === stage)?.seconds ?? 0;
}

describe('the planned time of a job on pictures', () => {
  it('has the front of all noise levels that its steps will have, and no more', async () => {
    const [some, many] = [await planned({ steps: 1000 }), await planned({ steps: 1e7 })];
    // 1 − e⁻² of the levels after 2000 draws, and all of them in the end.
    expect(many('front') / some('front')).toBeGreaterThan(1.05);
    expect(many('front') / some('front')).toBeLessThan(1.25);
    expect(many('train') / some('train') / 1e4).toBeCloseTo(1, 1);
  });

  it('has every picture that is made on the way, with all of its steps', async () => {
    const made = async (count: number, sampleInferenceSteps: number): Promise<number> => {
      const samplePrompts = Array<string>(count).fill('sks');
      return (await planned({ samplePrompts, sampleInferenceSteps }))('front');
    };
    const [one, two, three] = [await made(1, 8), await made(2, 8), await made(3, 8)];
    const picture = two - one;
    expect(three - two).toBe(picture);
    const longer = (await made(2, 16)) - (await made(1, 16));
    // Twice the steps are less than twice the picture, by its decoding.
    expect(longer).toBeGreaterThan(picture);
    expect(longer).toBeLessThan(2 * picture);
  });
});
