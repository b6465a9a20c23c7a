import type { DeviceProfile } from '@emloc/device';
import type { LayerSource } from '@emloc/weight-pager';

import type { MemoryPhase } from '../job/environment.js';
import { emulatorSource, plannedFactorStore } from '../job/factor-store.js';
import type { JobRun } from '../job/job-run.js';
import { startingAdapter, type Job } from '../job/job.js';
import { trainedOriginal } from '../job/storage.js';
import { runTrainStage } from '../stages/train.js';

/**
 * The model that a phase pages, as it reads it: training's is the emulator, if there is one.
 */
export function sourceOf(
  job: Job,
  profile: DeviceProfile,
  phase: Exclude<MemoryPhase, 'front'>,
): LayerSource {
  if (phase === 'refine') return trainedOriginal(job);
  return phase === 'train'
    ? emulatorSource(job, job.emulated, { store: plannedFactorStore, profile })
    : job.model.source;
}

/** Training or refinement alone, from a blank adapter. */
export async function rehearseTraining(
  run: JobRun,
  {
    job,
    stage,
    plan,
  }: {
    readonly job: Job;
    readonly stage: 'train' | 'refine';
    readonly plan: Job['training'];
  },
): Promise<void> {
  await runTrainStage(run, {
    stage,
    levels: [
      {
        source: sourceOf(job, run.environment.device.profile, stage),
        emulated: stage === 'train' ? job.emulated : [],
        steps: plan.batches.length,
      },
    ],
    adapter: startingAdapter(job, { reads: 'none' }),
    plan,
    evaluateBefore: false,
  });
}
