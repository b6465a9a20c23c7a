import { cpuProfile } from '@emloc/device-cpu';

import { cpuRun } from '../../test/cpu-run.js';
import { openWorkspace, type Workspace } from '../../test/fixtures.js';
import type { JobRun } from '../job/job-run.js';
import type { Job } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import { calibrate } from '../stages/calibrate.js';
import { emulateBlock } from '../stages/emulate.js';
import { divideEmulation, type EmulationDivision, type ProcessMemory } from './divide-emulation.js';

let workspace: Workspace;
let job: Job;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

const divide = (budgetBytes: number): Promise<EmulationDivision> =>
  divideEmulation({ job, profile: cpuProfile, budgetBytes });

const runOf = ({ budgetBytes, memory }: ProcessMemory): JobRun =>
  cpuRun(job, { memory }, budgetBytes);

/** Runs both on devices of these budgets. */
async function run(
  division: EmulationDivision,
): Promise<{ calibrateBytes: number; emulateBytes: number }> {
  const [calibrator, builder] = [runOf(division.calibrate), runOf(division.emulate)];
  for await (const statistics of calibrate(calibrator)) await emulateBlock(builder, statistics);
  const [ofCalibrator, ofBuilder] = [calibrator.environment.device, builder.environment.device];
  await ofCalibrator.close();
  await ofBuilder.close();
  return {
    calibrateBytes: ofCalibrator.budget.peakBytes,
    emulateBytes: ofBuilder.budget.peakBytes,
  };
}

/** The smallest budget that has a property which larger ones have too. */
async function least(holds: (budgetBytes: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [0, 2 ** 26];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

describe.each(['output', 'loss'] as const)('divideEmulation, metric %s', (emulatorMetric) => {
  beforeAll(async () => {
    job = await prepareJob(workspace.options({ calibrationRows: 8, emulatorMetric }));
  });

  afterAll(() => job.close());

  it('gives emulation what it takes and calibration the rest, within the budget', async () => {
    const division = await divide(2 ** 30);
    expect(division.overlaps).toBe(true);
    expect(division.calibrate.budgetBytes + division.emulate.budgetBytes).toBe(2 ** 30);
    const { emulateBytes } = await run(division);
    expect(emulateBytes).toBeLessThanOrEqual(division.emulate.budgetBytes);
    expect(emulateBytes).toBeGreaterThan(0.95 * division.emulate.budgetBytes);
  });

  it('lets them take turns where both do not fit, and run where they just do', async () => {
    const overlapping = await least(async (bytes) =>
      divide(bytes).then(
        ({ overlaps }) => overlaps,
        () => false,
      ),
    );
    const division = await divide(overlapping);
    const { calibrateBytes, emulateBytes } = await run(division);
    expect(calibrateBytes + emulateBytes).toBeLessThanOrEqual(overlapping);
    const turns = await divide(overlapping - 1);
    expect(turns).toMatchObject({
      overlaps: false,
      calibrate: { budgetBytes: overlapping - 1 },
      emulate: { budgetBytes: overlapping - 1 },
    });
    await run(turns);
  });

  it('refuses a budget in which one of them does not fit, with the bytes that it needs', async () => {
    const refusal = await divide(100_000).then(
      () => null,
      (error: unknown) => error as Error,
    );
    expect(refusal).toMatchObject({ code: 'PIPELINE_DOES_NOT_FIT' });
    const needed = Number(/\((\d+) bytes\)/.exec(refusal?.message ?? '')?.[1]);
    expect(needed).toBeGreaterThan(100_000);
    await expect(divide(needed - 1)).rejects.toMatchObject({ code: 'PIPELINE_DOES_NOT_FIT' });
  });
});
