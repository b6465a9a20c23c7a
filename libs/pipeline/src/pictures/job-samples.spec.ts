import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { cpuTarget, tuneHost } from '../../test/fixtures.js';
import { openPictureWorkspace, type PictureWorkspace } from '../../test/picture-workspace.js';
import { prepareJob } from '../job/prepare-job.js';
import { fitMemory } from '../plan/fit-memory.js';
import { tune } from '../tune.js';

let workspace: PictureWorkspace;

beforeAll(async () => {
  workspace = await openPictureWorkspace();
});

afterAll(() => workspace.close());

describe('samples of a job', () => {
  it('are counted in its memory, and change no byte of its adapter', async () => {
    const sampled = { samplePrompts: ['sks in the snow'], sampleEvery: 2, sampleInferenceSteps: 2 };
    const options = { steps: 5, ...sampled };
    await using job = await prepareJob(workspace.options(options));
    const { profile } = cpuTarget();
    const fit = await fitMemory({ job, profile, budgetBytes: 2 ** 40 });
    const weights = async (name: string, overrides: object): Promise<Buffer> => {
      const out = join(workspace.outputs, name);
      const report = await tune(workspace.options({ out, ...overrides }), tuneHost());
      expect(report.peakDeviceBytes).toBeLessThanOrEqual(report.budgetBytes);
      return readFile(join(out, 'pytorch_lora_weights.safetensors'));
    };

    const least = await weights('least', { ...options, vramBytes: fit.neededBytes });
    const plain = await weights('plain', { steps: 5 });
    expect(least.equals(plain)).toBe(true);
    expect(await readdir(join(workspace.outputs, 'least', 'samples'))).toEqual([
      'final-0.png',
      'step-000000-0.png',
      'step-000002-0.png',
      'step-000004-0.png',
    ]);
  });
});
