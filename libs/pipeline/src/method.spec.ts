import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { cpuTarget, openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { TuneReport } from './job/tune-report.js';
import type { TuneOptions } from './options/resolve.js';
import { withChoice } from './plan/method-choice.js';
import { planTuneWays } from './plan/plan-tune.js';
import { tune, type TuneHost } from './tune.js';

const shape: Partial<TuneOptions> = {
  ...{ steps: 3, batch: 2, maxLength: 32, calibrationRows: 2 },
  ...{ refineSteps: null, correction: 'none' },
};

let workspace: Workspace;
beforeAll(async () => {
  workspace = await openWorkspace(8);
});
afterAll(() => workspace.close());

function optionsOf(name: string, overrides: Partial<TuneOptions>): TuneOptions {
  const out = join(workspace.outputs, name);
  return workspace.options({ ...shape, out, ...overrides });
}

function run(
  name: string,
  overrides: Partial<TuneOptions>,
  host: Partial<TuneHost> = {},
): Promise<TuneReport> {
  return tune(optionsOf(name, overrides), tuneHost({ checkpointSteps: 1, ...host }));
}

function weightsOf(name: string): Promise<Buffer> {
  return readFile(join(workspace.outputs, name, 'adapter_model.safetensors'));
}

async function recordOf(name: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(workspace.outputs, name, 'emloc.json'), 'utf8');
  return JSON.parse(text) as Record<string, unknown>;
}

describe('the method of a job', () => {
  it('is plain LoRA on the original, paged or resident, with equal bytes', async () => {
    await run('plain', { ratios: ['1'] });
    for (const method of ['paged', 'resident'] as const) {
      const { stages, choice } = await run(method, { method });
      expect(stages.map(({ name }) => name)).toEqual(['train']);
      expect(choice).toBeNull();
      expect((await weightsOf(method)).equals(await weightsOf('plain'))).toBe(true);
      expect(await recordOf(method)).toMatchObject({ method, ratios: [], emulator: null });
    }
  });

  it('is refused as resident where the weights do not stay, with the bytes', async () => {
    await expect(run('tight', { method: 'resident', vramBytes: 2 ** 22 })).rejects.toMatchObject({
      code: 'PIPELINE_DOES_NOT_FIT',
      message: expect.stringMatching(/^method resident: .* \(\d+ bytes\), the budget is 4\.00 MiB/),
    });
    await run('paged-there', { method: 'paged', vramBytes: 2 ** 22 });
    expect((await weightsOf('paged-there')).equals(await weightsOf('plain'))).toBe(true);
  });

  it.each(['auto', 'emulator'] as const)(
    'is decided once where it is %s, and recorded with why',
    async (method) => {
      const given = { method, ...(method === 'emulator' && { steps: null }) };
      const stop = new AbortController();
      const observer: TuneHost['observer'] = (event) => {
        if (event.type === 'step') stop.abort();
      };
      await expect(run(method, given, { signal: stop.signal, observer })).rejects.toMatchObject({
        code: 'PIPELINE_INTERRUPTED',
      });
      const target = cpuTarget();
      const { choice } = await run(method, given, { mode: 'resume', target });
      expect(target.opened).toHaveLength(1);
      expect(choice).toMatchObject({ asked: method, why: expect.stringContaining('takes') });
      if (!choice) throw new Error('no choice');
      const { method: name, inputs } = choice;
      expect(inputs.ways.map((way) => way.name)).toEqual(['emulator', 'paged', 'resident']);
      expect(await recordOf(method)).toMatchObject({ method: name, choice });
      await tune(withChoice(optionsOf(`${method}-told`, given), choice), tuneHost({}));
      expect((await weightsOf(method)).equals(await weightsOf(`${method}-told`))).toBe(true);
    },
  );

  it('is planned with what auto would take', async () => {
    const planned = await planTuneWays(optionsOf('planned', { method: 'paged' }), cpuTarget());
    expect(planned).toMatchObject({ choice: null, auto: { asked: 'auto' } });
    expect(planned.plan.stages.map(({ name }) => name)).toEqual(['train']);
    const undecided = await planTuneWays(optionsOf('planned', { method: 'auto' }), cpuTarget());
    expect(undecided.choice).toBe(undecided.auto);
    const stages = undecided.plan.stages.map(({ name }) => name);
    expect(stages.includes('calibrate')).toBe(undecided.choice?.method === 'emulator');
  });
});
