import { fileURLToPath } from 'node:url';
import { cpuProfile } from '@emloc/device-cpu';

import { emulatorSource, plannedFactorStore } from '../job/factor-store.js';
import { startingAdapter } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import { resolveTuneOptions } from '../options/resolve.js';
import { correctBlocks, correctedBlocks } from '../stages/correct.js';
import { correctionMemory } from './correction-memory.js';
import { createNullRun } from './null-run.js';

const example = (path: string): string =>
  fileURLToPath(new URL(`../../../../examples/images/${path}`, import.meta.url));

it('is enough for every block that a process is given alone', async () => {
  const options = resolveTuneOptions({
    ...{ model: example('model'), data: example('data/train.jsonl'), out: 'out' },
    ...{ rank: 4, steps: 1 },
  });
  await using job = await prepareJob(options);
  const { budgetBytes } = await correctionMemory({
    ...{ job, profile: cpuProfile },
    budgetBytes: Number.POSITIVE_INFINITY,
  });
  const adapter = startingAdapter(job);
  const blocks = correctedBlocks(job, adapter);
  expect(blocks.length).toBeGreaterThan(2);
  const source = { store: plannedFactorStore, profile: cpuProfile };
  const emulator = emulatorSource(job, job.emulated, source);
  for (const block of blocks) {
    await using run = createNullRun(job, { profile: cpuProfile, budgetBytes });
    await correctBlocks(run, { adapter, emulator, blocks: [block] });
    expect(run.budget.peakBytes).toBeLessThanOrEqual(budgetBytes);
  }
});
