import { assertUnchanged } from '../inputs/guard-job.js';
import { correct } from '../stages/correct.js';
import { buildEmulator } from '../stages/emulate.js';
import { runTrainStage } from '../stages/train.js';
import { emulatorSource } from './factor-store.js';
import { jobResultOf, type JobResult } from './job-result.js';
import { bringRows, type JobRun } from './job-run.js';
import type { Job } from './job.js';
import { noOutcomeStore, type OutcomeStore } from './outcome-store.js';
import { refine } from './refinement.js';
import { sampleOriginal } from './sample-original.js';
import type { StageOutcome, TunedOutcome } from './stage-outcomes.js';
import { trainedLevels } from './trained-levels.js';
import { trainingStart } from './training-start.js';

/**
 * Runs all stages of a job in this process, but those that `outcomes` has. The same for a real
 * device and for planning on a null one.
 */
export async function runJob(
  given: JobRun,
  outcomes: OutcomeStore = noOutcomeStore,
): Promise<JobResult> {
  const run = await bringRows(given);
  await sampleOriginal(run, 0, null);
  const result =
    run.job.emulated.length === 0
      ? await runPlainLora(run, outcomes)
      : await runEmloc(run, outcomes);
  await sampleOriginal(run, 'final', result.adapter);
  return result;
}

async function runEmloc(run: JobRun, outcomes: OutcomeStore): Promise<JobResult> {
  const { job, environment } = run;
  const layers = await buildEmulator(run);
  const emulator = emulatorSource(job, job.emulated, {
    store: environment.factors,
    profile: environment.device.profile,
  });
  const tuned = await outcomeOf({ job, outcomes }, 'train', () => tune(run));
  const correction = await outcomeOf({ job, outcomes }, 'correct', async () => {
    const { adapter, chosen, scores, base } = await correct(run, {
      adapter: tuned.adapter,
      emulator,
    });
    return { adapter, chosen, scores, baseLoss: base.loss };
  });
  const plan = job.refinement;
  const refinement =
    plan &&
    (await outcomeOf({ job, outcomes }, 'refine', () => refine(run, { plan, correction, tuned })));
  return jobResultOf(job, { layers, tuned, correction, refinement });
}

/** Ratio 1: LoRA on the paged original, the upper bound to compare with. */
async function runPlainLora(run: JobRun, outcomes: OutcomeStore): Promise<JobResult> {
  const { job } = run;
  const tuned = await outcomeOf({ job, outcomes }, 'train', () => tune(run));
  return jobResultOf(job, { layers: [], tuned, correction: null, refinement: null });
}

/** Nothing is kept that may be of two versions of the model. */
async function outcomeOf<S extends keyof StageOutcome>(
  { job, outcomes }: { readonly job: Job; readonly outcomes: OutcomeStore },
  stage: S,
  run: () => Promise<StageOutcome[S]>,
): Promise<StageOutcome[S]> {
  const finished = await outcomes.load(stage);
  if (finished) return finished;
  const outcome = await run();
  await assertUnchanged(job);
  await outcomes.save(stage, outcome);
  return outcome;
}

async function tune(run: JobRun): Promise<TunedOutcome> {
  const { job, environment } = run;
  const { factors: store, device } = environment;
  return await runTrainStage(run, {
    stage: 'train',
    levels: trainedLevels(job, { store, profile: device.profile }),
    adapter: await trainingStart(job, environment),
    plan: job.training,
    evaluateBefore: true,
  });
}
