import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { useJobs } from '../test/jobs.js';
import type { JobEvent } from './job/observer.js';
import type { TuneOptions } from './options/resolve.js';

/** Ranks so small beside the sides that iteration is cheaper for some layers, but not for all. */
const shape: Partial<TuneOptions> = {
  factors: 'fast',
  ratios: ['0.25'],
  steps: 1,
  refineSteps: 0,
  batch: 2,
  maxLength: 32,
  calibrationRows: 4,
  correction: 'none',
};

const jobs = useJobs(shape);
const { run, adapterOf } = jobs;

it.each(['output', 'loss'] as const)(
  'a job with fast factors has the losses of one with exact factors, and says who found them: metric %s',
  async (emulatorMetric) => {
    const [fast, exact] = [`fast-${emulatorMetric}`, `exact-${emulatorMetric}`];
    const found = await run(fast, { emulatorMetric });
    const expected = await run(exact, { emulatorMetric, factors: 'exact' });
    // Each layer may lose a thousandth more than the least there is. What that does to the loss
    // of a model of random weights moves with the last bits of its statistics; 0.3 % was seen.
    const least = expected.validation.emulator ?? NaN;
    expect(Math.abs((found.validation.emulator ?? NaN) / least - 1)).toBeLessThan(1e-2);
    const record = await readFile(join(jobs.workspace.outputs, fast, 'emloc.json'), 'utf8');
    const { factors, emulator } = JSON.parse(record) as {
      factors: string;
      emulator: { layers: readonly { solver: string; usedFallback: boolean }[] };
    };
    expect(factors).toBe('fast');
    const solvers = new Set(emulator.layers.map(({ solver }) => solver));
    expect(solvers).toEqual(new Set(['subspace', 'float32']));
    expect(emulator.layers.some(({ usedFallback }) => usedFallback)).toBe(false);
  },
);

describe('a job with fast factors', () => {
  let vramBytes: number;
  beforeAll(async () => {
    await run('whole');
    const refused = await run('tight', { vramBytes: 1 }).catch((error: unknown) => String(error));
    vramBytes = Number(/\((\d+) bytes\)/.exec(String(refused))?.[1]);
  });

  it('gives the same bytes in the least budget that its plan finds', async () => {
    const report = await run('tight', { vramBytes });
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(vramBytes);
    expect(await adapterOf('tight')).toEqual(await adapterOf('whole'));
  });

  it('goes on to the same bytes where it is interrupted, in another budget', async () => {
    const stop = new AbortController();
    let seen = 0;
    const observer = (event: JobEvent): void => {
      if (event.type === 'progress' && event.stage === 'emulate') seen += 1;
      if (seen === 9) stop.abort();
    };
    const name = 'interrupted';
    await expect(run(name, {}, { observer, signal: stop.signal })).rejects.toMatchObject({
      code: 'PIPELINE_INTERRUPTED',
    });
    await run(name, { vramBytes }, { mode: 'resume' });
    expect(await adapterOf(name)).toEqual(await adapterOf('whole'));
  });
});
