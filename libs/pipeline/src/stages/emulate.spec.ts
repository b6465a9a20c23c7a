import { firstError } from '@emloc/checked';
import { cpuProfile } from '@emloc/device-cpu';
import type { Model } from '@emloc/models';

import { cpuRun } from '../../test/cpu-run.js';
import { openWorkspace, type Workspace } from '../../test/fixtures.js';
import { hashed } from '../../test/hashed.js';
import { plannedFactorStore, type FactorStore } from '../job/factor-store.js';
import { onModel, type Job } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import { createNullRun } from '../plan/null-run.js';
import { calibrate } from './calibrate.js';
import { buildEmulator, emulateBlock } from './emulate.js';

let workspace: Workspace;
let job: Job;

beforeAll(async () => {
  workspace = await openWorkspace();
  job = await prepareJob(workspace.options({ calibrationRows: 8 }));
});

afterAll(async () => {
  await job.close();
  await workspace.close();
});

describe.each(['output', 'loss'] as const)('calibration, metric %s', (emulatorMetric) => {
  beforeAll(async () => {
    await job.close();
    job = await prepareJob(workspace.options({ calibrationRows: 8, emulatorMetric }));
  });

  it('gives everything back when its reader has enough', async () => {
    await using run = createNullRun(job, { profile: cpuProfile });
    const { device } = run.environment;
    const blocks = calibrate(run);

    expect((await blocks.next()).done).toBe(false);
    expect(device.liveTensors).toBeGreaterThan(0);
    await blocks.return(undefined);

    expect(device.liveTensors).toBe(0);
  });

  it('gives everything back when its reader fails', async () => {
    await using run = createNullRun(job, { profile: cpuProfile });
    const failure = new Error('reader');

    const reading = (async (): Promise<void> => {
      for await (const _ of calibrate(run)) throw failure;
    })();

    await expect(reading).rejects.toBe(failure);
    expect(run.environment.device.liveTensors).toBe(0);
  });

  it('names what failed first where nothing can be given back either', async () => {
    // Not closed: its tensors stay.
    const run = createNullRun(job, { profile: cpuProfile });
    const { device } = run.environment;
    const failure = new Error('observer');
    let isGone = false;
    const allocate = device.allocate.bind(device);
    device.allocate = (...given) => {
      const tensor = allocate(...given);
      const dispose = tensor.dispose.bind(tensor);
      tensor.dispose = () => {
        dispose();
        if (isGone) throw new Error('the device is gone');
      };
      return tensor;
    };
    const observer = (): never => {
      isGone = true;
      throw failure;
    };

    const building = buildEmulator({ job, environment: { ...run.environment, observer } });

    const thrown = await building.catch((error: unknown) => error);
    expect(thrown).not.toBe(failure);
    expect(firstError(thrown)).toBe(failure);
  });
});

describe.each(['output', 'loss'] as const)('emulation, metric %s', (emulatorMetric) => {
  it('makes of weights that calibration has on the device what it makes of those it brings', async () => {
    const shape = { ratios: ['.*(k|down|up)_proj=0.4', '1'], calibrationRows: 2, emulatorMetric };
    await using whole = await prepareJob(workspace.options(shape));
    const { counted, most } = countReads(whole.model);
    const made: unknown[] = [];
    const put: FactorStore['put'] = async (block, factors, reports) => {
      await Promise.resolve(made.push({ block, factors, reports }));
    };
    const run = cpuRun(onModel(whole, counted), { factors: { ...plannedFactorStore, put } });
    await using _device = run.environment.device;

    await buildEmulator(run);

    expect(most()).toBe(1);
    const again: unknown[] = [];
    for await (const calibrated of calibrate(run)) {
      expect(calibrated.tensors).toBeUndefined();
      again.push({ block: calibrated.block, ...(await emulateBlock(run, calibrated)) });
    }
    // Once for each of two pagers more.
    expect(most()).toBe(3);
    expect(made.length).toBeGreaterThan(1);
    expect(hashed(made)).toEqual(hashed(again));
    expect(run.environment.device.liveTensors).toBe(0);
  });
});

/** The model, and how often the tensor of it was read that was read most. */
function countReads(model: Model): { readonly counted: Model; readonly most: () => number } {
  const reads = new Map<string, number>();
  const { source } = model;
  return {
    counted: {
      ...model,
      source: {
        layers: source.layers,
        read: (layer, tensor, destination) => {
          const key = `${layer} ${tensor}`;
          reads.set(key, (reads.get(key) ?? 0) + 1);
          return source.read(layer, tensor, destination);
        },
      },
    },
    most: () => Math.max(...reads.values()),
  };
}

describe('the clock of stages', () => {
  it('hears of the end of a stage that fails', async () => {
    await using run = createNullRun(job, { profile: cpuProfile });
    const failing = {
      ...run.environment.factors,
      put: () => Promise.reject(new Error('factors')),
    };

    await expect(
      buildEmulator({ job, environment: { ...run.environment, factors: failing } }),
    ).rejects.toThrow('factors');

    expect(run.environment.clock.reports().map(({ name }) => name)).toEqual([
      'calibrate',
      'emulate',
    ]);
    expect(run.environment.device.liveTensors).toBe(0);
  });
});
