import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deviceTarget } from '@emloc/device-registry';

import type { JobEvent } from './job/observer.js';
import { resolveTuneOptions } from './options/resolve.js';
import { tune, type TuneReport } from './tune.js';

const examples = new URL('../../../examples/', import.meta.url);

/**
 * Two steps with the 1M model, and one of refinement. As many calibration tokens as dimensions:
 * fewer leave directions open, which rounding then decides. In the metric of the loss, which needs
 * what that of outputs needs, too.
 */
async function runJob(
  folder: string,
  device: string,
): Promise<{ report: TuneReport; losses: number[] }> {
  const target = deviceTarget(device, device === 'cpu' ? 1 : undefined);
  const losses: number[] = [];
  const observer = (event: JobEvent) => {
    if (event.type === 'step') losses.push(event.loss);
  };
  const options = resolveTuneOptions({
    model: fileURLToPath(new URL('models/tiny-qwen2', examples)),
    data: join(folder, 'train.jsonl'),
    validation: join(folder, 'validation.jsonl'),
    out: join(folder, device.replace(':', '-')),
    emulatorMetric: 'loss',
    steps: 2,
    batch: 1,
    maxLength: 40,
    calibrationRows: 4,
    rank: 4,
    alpha: 8,
    learningRate: 2e-3,
    refineSteps: 1,
    correction: 'none',
    vramBytes: 2 ** 28,
  });
  const report = await tune(options, {
    target,
    observer,
    provenance: { program: 'test', device: target.description },
  });
  return { report, losses };
}

describe('a job on TensorFlow.js', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emloc-tfjs-'));
    const lines = (await readFile(new URL('data/train.jsonl', examples), 'utf8')).split('\n');
    await writeFile(join(folder, 'train.jsonl'), `${lines.slice(0, 4).join('\n')}\n`);
    await writeFile(join(folder, 'validation.jsonl'), `${lines[4]}\n`);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('has the losses of the CPU device, within float32 noise', async () => {
    const [cpu, tfjs] = [await runJob(folder, 'cpu'), await runJob(folder, 'tfjs:cpu')];
    expect(cpu.losses).toHaveLength(3);
    tfjs.losses.forEach((loss, i) =>
      expect(Math.abs(loss - (cpu.losses[i] ?? Number.NaN))).toBeLessThan(1e-3),
    );
    expect(tfjs.losses).toHaveLength(3);
    for (const name of ['base', 'emulator', 'emulatorTuned', 'refined'] as const) {
      expect(
        Math.abs(
          (tfjs.report.validation[name] ?? Number.NaN) -
            (cpu.report.validation[name] ?? Number.NaN),
        ),
      ).toBeLessThan(1e-3);
    }
    expect(tfjs.report.peakDeviceBytes).toBeLessThanOrEqual(tfjs.report.budgetBytes);
  });
});
