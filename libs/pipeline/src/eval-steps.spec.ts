import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPeftAdapter } from '@emloc/checkpoint';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { JobEvent } from './job/observer.js';
import type { TuneOptions } from './options/resolve.js';
import { tune, type TuneHost, type TuneReport } from './tune.js';

const small: Partial<TuneOptions> = {
  ...{ batch: 2, maxLength: 32, calibrationRows: 2, schedule: 'constant', warmupRatio: 0 },
};
/** Of a rate at which losses go up and down. */
const validated: Partial<TuneOptions> = {
  ...{ ...small, steps: 5, refineSteps: 3, evalSteps: 2, learningRate: 0.03 },
};
/** Gradients that are numbers, of which no second step comes. */
const explosive: Partial<TuneOptions> = {
  ...{ ...small, steps: 4, refineSteps: 0, alpha: 1e15, learningRate: 1e6 },
};

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

interface Outcome {
  readonly report: TuneReport;
  readonly notices: readonly string[];
}

async function run(
  name: string,
  options: Partial<TuneOptions>,
  host: Partial<TuneHost> = {},
): Promise<Outcome> {
  const notices: string[] = [];
  const observer = (event: JobEvent): void => {
    if (event.type === 'notice') notices.push(event.message);
    host.observer?.(event);
  };
  const out = join(workspace.outputs, name);
  const report = await tune(
    workspace.options({ ...options, out }),
    tuneHost({ ...host, observer }),
  );
  return { report, notices };
}

async function filesOf(name: string): Promise<readonly string[]> {
  const names = [
    'adapter_model.safetensors',
    'uncorrected/adapter_model.safetensors',
    'emloc.json',
  ];
  return Promise.all(names.map((file) => readFile(join(workspace.outputs, name, file), 'base64')));
}

describe('validation during training', () => {
  const moments: { readonly event: JobEvent; readonly snapshot: string }[] = [];
  let whole: Outcome;

  beforeAll(async () => {
    const out = join(workspace.outputs, 'whole');
    const observer = (event: JobEvent): void => {
      const snapshot = join(workspace.outputs, '..', 'snapshots', String(moments.length));
      takeSnapshot(out, snapshot);
      moments.push({ event, snapshot });
    };
    whole = await run('whole', validated, { observer, checkpointSteps: 1 });
  });

  it('tells its losses, and keeps the best state', async () => {
    const { courses, validation } = whole.report;
    const [train, refine] = [courses.train.curve ?? [], courses.refine?.curve ?? []];
    expect(train.map(({ step }) => step)).toEqual([0, 2, 4, 5]);
    expect(refine.map(({ step }) => step)).toEqual([0, 2, 3]);
    const best = Math.min(...train.map(({ loss }) => loss));
    expect(train.find(({ loss }) => loss === best)?.step).toBe(courses.train.chosenStep);
    expect(validation.emulatorTuned).toBe(best);
    expect(whole.notices).toContainEqual(
      `train: validation loss ${train[1]?.loss.toFixed(4)} after step 2`,
    );
    const record = await readFile(join(workspace.outputs, 'whole', 'emloc.json'), 'utf8');
    expect(JSON.parse(record)).toMatchObject({ courses, ending: whole.report.ending });
  });

  it('goes on to equal bytes wherever the process is killed', async () => {
    const during = moments.filter(
      ({ event }) =>
        (event.type === 'step' && event.step > 1) ||
        (event.type === 'notice' && /after step [1-9]/.test(event.message)),
    );
    expect(during.length).toBeGreaterThan(8);
    const expected = await filesOf('whole');
    for (const [index, { snapshot }] of during.entries()) {
      if (index % 3 > 0) continue;
      await leaveCrash(join(workspace.outputs, `killed-${index}`), snapshot);
      await run(`killed-${index}`, validated, { mode: 'resume' });
      expect(await filesOf(`killed-${index}`)).toEqual(expected);
    }
  });
});

describe('training that diverges', () => {
  it('leaves the adapter of the steps before, and says so', async () => {
    const { report, notices } = await run('diverged', { ...explosive, ratios: ['1'] });
    expect(report).toMatchObject({
      ending: 'diverged',
      train: { steps: 1 },
      courses: { train: { chosenStep: 1, divergence: expect.stringContaining('step 2') } },
    });
    expect(notices.join()).toMatch(/training diverged .*step 2.* after step 1 is kept/);
    const { layers } = await readPeftAdapter(join(workspace.outputs, 'diverged'));
    expect([...layers.values()].every(({ b }) => b.some((value) => value !== 0))).toBe(true);
  });

  it('leaves the best state where it was validated, corrected as others are', async () => {
    const { report } = await run('best', { ...explosive, evalSteps: 1 });
    expect(report.ending).toBe('diverged');
    expect(report.courses.train.chosenStep).toBe(0);
    expect(report.validation.uncorrected).toBe(report.validation.base);
  });

  it('leaves nothing where its values are no numbers', async () => {
    await expect(
      run('infinite', { ...explosive, ratios: ['1'], steps: 1, weightDecay: 1e300 }),
    ).rejects.toMatchObject({ code: 'FINETUNE_NON_FINITE' });
    expect(await workspace.leftovers()).not.toContain('infinite');
  });
});

describe('refinement that diverges', () => {
  const calm = { ...explosive, learningRate: 1e-20, refineLearningRate: 1e6 };

  it('keeps the adapter before it', async () => {
    await run('unrefined', calm);
    const { report, notices } = await run('refined', { ...calm, refineSteps: 4 });
    expect(notices.join()).toMatch(/refinement diverged .*: the adapter before it is kept/);
    expect(report.courses.refine?.divergence).toContain('step 2');
    expect((await filesOf('refined')).slice(0, 2)).toEqual(
      (await filesOf('unrefined')).slice(0, 2),
    );
    expect(report.ending).not.toBe('diverged');
  });
});

test('an adapter whose B is zero is told of', async () => {
  const { notices } = await run('zero', { ...small, maxGradientNorm: 1e-60, refineSteps: 0 });
  expect(notices).toContainEqual(expect.stringMatching(/^train: B is zero in all 28 layers/));
});
