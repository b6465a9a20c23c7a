import { useJobs } from '../test/jobs.js';
import type { JobEvent } from './job/observer.js';
import type { TuneReport } from './job/tune-report.js';
import type { TuneOptions } from './options/resolve.js';

const shape: Partial<TuneOptions> = {
  emulatorMetric: 'loss',
  steps: 2,
  refineSteps: 0,
  batch: 2,
  maxLength: 32,
  calibrationRows: 6,
};

const jobs = useJobs(shape);
const { run, adapterOf } = jobs;

describe('a job whose emulator is close in the loss', () => {
  let whole: TuneReport;
  beforeAll(async () => {
    whole = await run('whole');
  });

  it('trains on another emulator than one that is close in outputs', async () => {
    const outputs = await run('outputs', { emulatorMetric: 'output' });
    expect(whole.emulator?.parameters).toBe(outputs.emulator?.parameters);
    expect(whole.validation.emulator).not.toBe(outputs.validation.emulator);
  });

  it('gives the same bytes in the least budget that it can work in', async () => {
    const refused = await run('tight', { vramBytes: 1 }).catch((error: unknown) => String(error));
    const vramBytes = Number(/\((\d+) bytes\)/.exec(String(refused))?.[1]);
    const report = await run('tight', { vramBytes });
    expect(report.peakDeviceBytes).toBeLessThanOrEqual(vramBytes);
    expect(vramBytes).toBeLessThan(whole.peakDeviceBytes);
    expect(await adapterOf('tight')).toEqual(await adapterOf('whole'));
  });

  it.each(['calibrate', 'emulate'] as const)(
    'goes on to the same bytes where it is interrupted in %s',
    async (stage) => {
      const name = `interrupted-${stage}`;
      const stop = new AbortController();
      let seen = 0;
      const observer = (event: JobEvent): void => {
        if (event.type === 'progress' && event.stage === stage) seen += 1;
        // Behind the first block's factors, on the way back to another.
        if (seen === (stage === 'calibrate' ? 5 : 8)) stop.abort();
      };
      await expect(run(name, {}, { observer, signal: stop.signal })).rejects.toMatchObject({
        code: 'PIPELINE_INTERRUPTED',
      });
      await run(name, {}, { mode: 'resume' });
      expect(await adapterOf(name)).toEqual(await adapterOf('whole'));
    },
  );
});
