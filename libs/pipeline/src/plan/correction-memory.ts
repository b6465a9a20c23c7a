import { leanMemoryPlan } from '../job/environment.js';
import { emulatorSource, plannedFactorStore } from '../job/factor-store.js';
import { startingAdapter } from '../job/job.js';
import { correctBlocks, correctedBlocks } from '../stages/correct.js';
import type { ProcessMemory } from './divide-emulation.js';
import { doesNotFit, type PlanInputs } from './fit-memory.js';
import { createNullRun } from './null-run.js';

/**
 * What a process takes that computes corrections and scores nothing: so little that several find
 * room on one device.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT
 */
export async function correctionMemory({
  job,
  profile,
  budgetBytes,
}: PlanInputs): Promise<ProcessMemory> {
  const adapter = startingAdapter(job, { reads: 'none' });
  const emulator = emulatorSource(job, job.emulated, {
    store: plannedFactorStore,
    profile,
  });
  let neededBytes = 0;
  // Block by block, as such a process is given them: what is paged ahead depends on it.
  for (const block of correctedBlocks(job, adapter)) {
    await using run = createNullRun(job, { profile });
    await correctBlocks(run, { adapter, emulator, blocks: [block] });
    neededBytes = Math.max(neededBytes, run.budget.peakBytes);
  }
  if (neededBytes > budgetBytes) throw doesNotFit('correct', { budgetBytes, neededBytes });
  return { budgetBytes: neededBytes, memory: leanMemoryPlan };
}
