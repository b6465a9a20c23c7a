import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { JobEvent } from './job/observer.js';
import type { TuneOptions } from './options/resolve.js';
import { tune, type TuneHost, type TuneReport } from './tune.js';

/** Ranks so small beside the sides that iteration is cheaper for some layers, but not for all. */
const shape: Partial<TuneOptions> = {
  factors: 'fast',
  ratios: ['0.1'],
  steps: 2,
  refineSteps: 0,
  batch: 2,
  maxLength: 32,
  calibrationRows: 6,
  correction: 'none',
};

let workspace: Workspace;
beforeAll(async () => {
  workspace = await openWorkspace();
});
afterAll(() => workspace.close());

function run(
  name: string,
  overrides: Partial<TuneOptions> = {},
  host: Partial<TuneHost> = {},
): Promise<TuneReport> {
  const out = join(workspace.outputs, name);
  return tune(workspace.options({ ...shape, out, ...overrides }), tuneHost(host));
}

async function adapterOf(name: string): Promise<Buffer> {
  return await readFile(join(workspace.outputs, name, 'adapter_model.safetensors'));
}

describe.each(['output', 'loss'] as const)('a job with fast factors, metric %s', (metric) => {
  let whole: TuneReport;
  beforeAll(async () => {
    whole = await run(`whole-${metric}`, { emulatorMetric: metric });
  });

  it('has the losses of exact ones, and says who found them', async () => {
    const exact = await run(`exact-${metric}`, { emulatorMetric: metric, factors: 'exact' });
    expect(whole.validation.emulator).toBeCloseTo(exact.validation.emulator ?? NaN, 2);
    const record = await readFile(join(workspace.outputs, `whole-${metric}`, 'emloc.json'), 'utf8');
    const { factors, emulator } = JSON.parse(record) as {
      factors: string;
      emulator: { layers: readonly { solver: string; usedFallback: boolean }[] };
    };
    expect(factors).toBe('fast');
    expect(new Set(emulator.layers.map(({ solver }) => solver))).toEqual(
      new Set(['subspace', 'float32']),
    );
    expect(emulator.layers.some(({ usedFallback }) => usedFallback)).toBe(false);
  });

  it('gives the same bytes in the least budget that it can work in, which the plan knows', async () => {
    const tight = { emulatorMetric: metric, vramBytes: 1 };
    const refused = await run(`tight-${metric}`, tight).catch((error: unknown) => String(error));
    const vramBytes = Number(/\((\d+) bytes\)/.exec(String(refused))?.[1]);
    const report = await run(`tight-${metric}`, { ...tight, vramBytes });
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(vramBytes);
    expect(await adapterOf(`tight-${metric}`)).toEqual(await adapterOf(`whole-${metric}`));
  });

  it('goes on to the same bytes where it is interrupted', async () => {
    const name = `interrupted-${metric}`;
    const stop = new AbortController();
    let seen = 0;
    const observer = (event: JobEvent): void => {
      if (event.type === 'progress' && event.stage === 'emulate') seen += 1;
      if (seen === 9) stop.abort();
    };
    await expect(
      run(name, { emulatorMetric: metric }, { observer, signal: stop.signal }),
    ).rejects.toMatchObject({ code: 'PIPELINE_INTERRUPTED' });
    await run(name, { emulatorMetric: metric }, { mode: 'resume' });
    expect(await adapterOf(name)).toEqual(await adapterOf(`whole-${metric}`));
  });
});
