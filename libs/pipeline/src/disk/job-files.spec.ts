import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytesOnDisk } from '@emloc/checkpoint';

import { watchDisk } from '../../test/disk-watch.js';
import { openWorkspace, tuneHost } from '../../test/fixtures.js';
import { openPictureWorkspace } from '../../test/picture-workspace.js';
import { readInputFiles } from '../inputs/input-files.js';
import { prepareJob } from '../job/prepare-job.js';
import type { TuneOptions } from '../options/resolve.js';
import { tune } from '../tune.js';
import { jobFiles } from './job-files.js';

/** What is said before the job, and the most that was there while it ran. */
async function measure(
  options: TuneOptions,
  { outputs, checkpointSteps }: { outputs: string; checkpointSteps: number },
): Promise<{ readonly said: number; readonly seen: number }> {
  const host = tuneHost({ checkpointSteps });
  const { profile } = host.target;
  await using job = await prepareJob(options, host);
  const inputs = await readInputFiles(options);
  const moments = jobFiles(job, { profile, inputs, checkpointSteps, storedStates: 0 });
  const needs = moments.map((files) => bytesOnDisk(files, { blockBytes: 4096 }));
  const stop = watchDisk(outputs);
  await tune(options, host);
  return { said: Math.max(...needs), seen: await stop() };
}

/** Folders and locks apart, which are the same for the largest job. */
function expectEnough({ said, seen }: { said: number; seen: number }): void {
  expect(seen).toBeGreaterThan(0);
  expect(seen).toBeLessThanOrEqual(said);
  expect(said).toBeLessThan(1.3 * seen + 2 ** 17);
}

const brief = { steps: 3, refineSteps: 3, batch: 1, maxLength: 32, calibrationRows: 2 } as const;

describe('the space that is asked for', () => {
  it.each<[string, Partial<TuneOptions>]>([
    [
      'an emulator, a refinement and an optimizer that keeps more',
      { optimizer: 'prodigy', learningRate: 1 },
    ],
    [
      'levels, whose optimizer is kept for the last',
      { levels: '0.25:2,0.5:1,1:3', ratios: [], steps: null, refineSteps: null },
    ],
    ['plain LoRA of some layers', { ratios: ['1'], targets: '.*q_proj', rank: 16 }],
  ])('is enough for %s, and not much more', async (_name, overrides) => {
    const workspace = await openWorkspace();
    const { outputs } = workspace;
    expectEnough(
      await measure(workspace.options({ ...brief, ...overrides }), { outputs, checkpointSteps: 1 }),
    );
    await workspace.close();
  });

  it('is enough for rows with images', async () => {
    const workspace = await openWorkspace();
    const { outputs } = workspace;
    const example = (path: string): string =>
      fileURLToPath(new URL(`../../../../examples/images/${path}`, import.meta.url));
    const rows = (await readFile(example('data/train.jsonl'), 'utf8')).split('\n').slice(0, 8);
    const text = rows.map((row) => row.replaceAll('"train/', `"${example('data/train/')}`));
    await writeFile(workspace.data, text.join('\n'));
    const images = { model: example('model'), steps: 1, refineSteps: 0, maxLength: 256 };
    expectEnough(await measure(workspace.options(images), { outputs, checkpointSteps: 1 }));
    await workspace.close();
  });

  it('is enough for pictures, samples on the way included', async () => {
    const { outputs, options, close } = await openPictureWorkspace();
    const sampled = {
      ...{ steps: 1, refineSteps: 0, calibrationRows: 1 },
      ...{ samplePrompts: ['sks in snow'], sampleEvery: 1, sampleInferenceSteps: 1 },
    };
    const out = join(outputs, 'deep', 'out');
    await mkdir(join(outputs, 'deep'));
    expectEnough(await measure(options({ ...sampled, out }), { outputs, checkpointSteps: 1 }));
    await close();
  });
});
