import { join } from 'node:path';
import { at } from '@emloc/checked';
import { Device, MemoryBudget, type DeviceRates } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import { openModel } from '@emloc/models';

import { openWorkspace, tinyModel, tuneHost, type Workspace } from '../../test/fixtures.js';
import { prepareJob } from '../job/prepare-job.js';
import type { TuneOptions } from '../options/resolve.js';
import { tune } from '../tune.js';
import { requireMemory } from './fit-memory.js';
import { measureRates } from './measure-rates.js';
import { planJob, type JobPlan } from './plan.js';

const rates: DeviceRates = {
  kernels: {},
  otherwise: { secondsPerFlop: 1e-11, secondsPerByte: 1e-10, secondsPerCall: 1e-6 },
  uploadSecondsPerByte: 1e-10,
  downloadSecondsPerByte: 1e-10,
};

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

async function plan(budgetBytes: number, overrides: Partial<TuneOptions>): Promise<JobPlan> {
  const job = await prepareJob(workspace.options({ ...overrides, vramBytes: budgetBytes }));
  try {
    return await planJob({ job, profile: cpuProfile, budgetBytes, rates });
  } finally {
    await job.close();
  }
}

describe.each([
  ['ratio 0.5', { ratios: ['0.5'] }],
  ['ratio 1', { ratios: ['1'] }],
  [
    'two blocks, accumulated gradients, no prefetch',
    { ratios: [String.raw`.*\.[01]\..*=0.4`], batch: 3, gradientAccumulation: 2, prefetch: false },
  ],
] as const)('a plan at %s', (name, overrides) => {
  it.each(['generous', 'middling', 'least'] as const)(
    'is met by the run within 5 %% and never below at the %s budget',
    async (size) => {
      const { neededBytes } = await plan(2 ** 30, overrides);
      const budgetBytes = {
        generous: 2 ** 30,
        middling: Math.ceil(neededBytes * 1.5),
        least: neededBytes,
      }[size];
      const planned = await plan(budgetBytes, overrides);
      const options = workspace.options({
        ...overrides,
        vramBytes: budgetBytes,
        out: join(workspace.outputs, `${name} ${size}`),
      });
      const report = await tune(options, tuneHost());
      expect(planned.fits).toBe(true);
      expect(planned.budgetBytes).toBe(budgetBytes);
      expect(planned.stages.map((stage) => stage.name)).toEqual(
        report.stages.map((stage) => stage.name),
      );
      for (const [index, { name: stage, peakDeviceBytes }] of report.stages.entries()) {
        const ratio = (planned.stages[index]?.peakDeviceBytes ?? 0) / peakDeviceBytes;
        expect({ stage, ratio, isWithin: ratio >= 1 && ratio <= 1.05 }).toEqual({
          stage,
          ratio,
          isWithin: true,
        });
      }
      for (const stage of planned.stages) {
        expect(stage.seconds).toBeGreaterThan(0);
        expect(stage.peakDeviceBytes).toBeLessThanOrEqual(budgetBytes);
      }
    },
  );
});

describe('planJob', () => {
  it('tells of a budget that is too small what would be needed, and plans for that', async () => {
    const planned = await plan(50_000, {});
    expect(planned.fits).toBe(false);
    expect(planned.budgetBytes).toBe(50_000);
    expect(planned.neededBytes).toBeGreaterThan(50_000);
    expect(Math.max(...planned.stages.map((stage) => stage.peakDeviceBytes))).toBeLessThanOrEqual(
      planned.neededBytes,
    );
    expect((await plan(planned.neededBytes, {})).fits).toBe(true);
    expect((await plan(planned.neededBytes - 1, {})).fits).toBe(false);
  });

  it('needs less for a smaller rank, batch or length', async () => {
    const { neededBytes } = await plan(2 ** 30, {});
    expect((await plan(2 ** 30, { batch: 1 })).neededBytes).toBeLessThan(neededBytes);
    expect((await plan(2 ** 30, { maxLength: 48 })).neededBytes).toBeLessThan(neededBytes);
    expect((await plan(2 ** 30, { rank: 1 })).neededBytes).toBeLessThanOrEqual(neededBytes);
  });

  it.each([
    ['all blocks', null, (layers: number) => layers],
    [
      'those from the first that is trained on',
      'model\\.layers\\.1\\..*',
      (layers: number) => layers - 1,
    ],
  ])('keeps, of a model that fits, the tensors of %s', async (_, targets, expected) => {
    const budgetBytes = 2 ** 30;
    const job = await prepareJob(workspace.options({ vramBytes: budgetBytes, targets }));
    const { train, refine } = await requireMemory({ job, profile: cpuProfile, budgetBytes });
    const { count } = at(job.model.layout.numbered, 0);
    await job.close();
    expect(train.keptBlocks).toBe(expected(count));
    expect(refine.keptBlocks).toBe(expected(count));
  });

  it('takes longer for more steps', async () => {
    const seconds = async (steps: number): Promise<number> =>
      (await plan(2 ** 30, { steps })).stages.find(({ name }) => name === 'train')?.seconds ??
      Number.NaN;
    expect(await seconds(6)).toBeGreaterThan(await seconds(2));
  });

  it('stands for any number of steps, and costs no more for many', async () => {
    const few = await plan(2 ** 30, { steps: 200, refineSteps: null });
    const many = await plan(2 ** 30, { steps: 10_000_000, refineSteps: null });
    const seconds = ({ stages }: JobPlan, name: string): number =>
      stages.find((stage) => stage.name === name)?.seconds ?? Number.NaN;
    for (const name of ['train', 'refine'])
      expect([name, seconds(many, name) / seconds(few, name) / 50_000]).toEqual([
        name,
        expect.closeTo(1, 1),
      ]);
    expect(many.neededBytes).toBeGreaterThanOrEqual(few.neededBytes);
    expect(many.neededBytes).toBeLessThan(1.1 * few.neededBytes);
  });

  it('ends at a signal', async () => {
    await using job = await prepareJob(workspace.options({ steps: 200, vramBytes: 2 ** 30 }));
    const stop = new AbortController();
    setImmediate(() => stop.abort(new Error('enough')));
    const inputs = { job, profile: cpuProfile, budgetBytes: 2 ** 30, rates, signal: stop.signal };
    await expect(planJob(inputs)).rejects.toThrow('enough');
  });
});

describe('a plan with validation during training', () => {
  it('counts its time, and its memory', async () => {
    const small = { batch: 2, maxLength: 32, steps: 20, calibrationRows: 2, refineSteps: 0 };
    const trainOf = async (evalSteps: number | null) => {
      const { stages } = await plan(2 ** 30, { ...small, evalSteps });
      const stage = stages.find(({ name }) => name === 'train');
      return { seconds: stage?.seconds ?? Number.NaN, bytes: stage?.peakDeviceBytes ?? 0 };
    };
    const [validated, plain] = [await trainOf(1), await trainOf(null)];
    expect(validated.seconds).toBeGreaterThan(1.2 * plain.seconds);
    expect(validated.bytes).toBeGreaterThanOrEqual(plain.bytes);
  });
});

describe('measureRates', () => {
  it('finds finite positive costs for every kernel, and leaves nothing on the device', async () => {
    const model = await openModel(tinyModel);
    const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
    const measured = await measureRates(device, {
      layout: model.layout,
      sequences: 2,
      sequenceLength: 16,
      loraRank: 4,
    });
    const costs = Object.entries(measured.kernels);
    expect(costs.length).toBeGreaterThan(10);
    for (const [kernel, { secondsPerFlop, secondsPerByte, secondsPerCall }] of costs) {
      const sum = secondsPerFlop + secondsPerByte + secondsPerCall;
      expect([
        kernel,
        Number.isFinite(sum) &&
          sum > 0 &&
          Math.min(secondsPerFlop, secondsPerByte, secondsPerCall) >= 0,
      ]).toEqual([kernel, true]);
    }
    expect(measured.uploadSecondsPerByte).toBeGreaterThan(0);
    expect(measured.downloadSecondsPerByte).toBeGreaterThan(0);
    expect(device.liveTensors).toBe(0);
    expect(device.budget.inUseBytes).toBe(cpuProfile.reserveBytes);
    await device.close();
    await model.close();
  });

  it('sees a signal between two kernels, and leaves nothing on the device', async () => {
    await using model = await openModel(tinyModel);
    await using device = new Device(createCpuBackend(), new MemoryBudget(2 ** 30));
    const shape = { layout: model.layout, sequences: 2, sequenceLength: 16, loraRank: 4 };
    const stop = new AbortController();
    setImmediate(() => stop.abort(new Error('enough')));
    await expect(measureRates(device, shape, stop.signal)).rejects.toThrow('enough');
    expect(device.liveTensors).toBe(0);
  });
});
