import type { LoraAdapter } from '@emloc/checkpoint';
import {
  defaultAdamw,
  defaultProdigy,
  train,
  type PagedModel,
  type TrainingPause,
  type TrainResult,
} from '@emloc/finetune';
import type { Score } from '@emloc/tasks';
import type { LayerSource } from '@emloc/weight-pager';

import { openModelPager } from '../job/environment.js';
import type { JobRun } from '../job/job-run.js';
import type { TrainingPlan } from '../job/job.js';
import type { StageName } from '../job/observer.js';
import { score } from './score.js';

/** A training run between two evaluations. */
export interface TrainStageResult {
  readonly result: TrainResult;
  /** null where it was not asked for */
  readonly before: Score | null;
  readonly after: Score;
}

export interface TrainStageInputs {
  readonly stage: Extract<StageName, 'train' | 'refine'>;
  readonly source: LayerSource;
  readonly adapter: LoraAdapter;
  readonly plan: TrainingPlan;
  readonly evaluateBefore: boolean;
}

/**
 * Samples are of the model that is trained, as it is. A rehearsal, which may be of a few steps, has
 * one at least.
 */
function pauseOf(
  { job: { sampler }, environment }: JobRun,
  { model, steps }: { readonly model: PagedModel; readonly steps: number },
): TrainingPause | undefined {
  if (sampler?.everySteps === null || !sampler) return undefined;
  const { everySteps } = sampler;
  const { reads } = environment;
  return {
    everySteps: reads === 'none' ? Math.min(everySteps, Math.max(1, steps)) : everySteps,
    run: async (step, adapter) => void (await sampler.make(step, { model, adapter })),
  };
}

/**
 * Trains on a model (emulator or original) within the phase's share of the budget and scores the
 * result on the validation split. Goes on from the state that the environment's training store has,
 * and keeps its own there.
 */
export async function runTrainStage(
  run: JobRun,
  inputs: TrainStageInputs,
): Promise<TrainStageResult> {
  const { job, environment } = run;
  const { stage, source, plan } = inputs;
  const { training } = environment;
  using _stage = environment.clock.during(stage);
  environment.clock.enter(stage);
  await using pager = openModelPager(environment, source, stage);
  const { layout } = job.model;
  const ranks = new Map(job.emulated.map(({ path, rank }) => [path, rank]));
  const rankOf = (path: string): number | null => ranks.get(path) ?? null;
  const model: PagedModel = {
    device: environment.device,
    layout,
    pager,
    rankOf,
    longestRow: job.longestRow,
  };
  const validate = async (adapter: LoraAdapter | null): Promise<Score> => {
    const [evaluation] = await score(environment, {
      model,
      stage,
      adapters: [adapter],
      batches: job.validation,
      task: 'validating',
    });
    if (!evaluation) throw new Error('evaluation gave no result');
    return evaluation;
  };
  const progress = await training.load(stage);
  if (progress)
    environment.observer({
      type: 'notice',
      message: `${stage} goes on after step ${progress.state.step}`,
    });
  const before = progress ? progress.before : inputs.evaluateBefore ? await validate(null) : null;
  const { weightDecay, maxGradientNorm } = job.options;
  const optimizer = job.options.optimizer === 'prodigy' ? defaultProdigy : defaultAdamw;
  const result = await train({
    model,
    adapter: inputs.adapter,
    rows: job.trainRows,
    batches: plan.batches,
    schedule: plan.schedule,
    optimizer: { ...optimizer, weightDecay, maxGradientNorm },
    keptBlocks: environment.memory[stage].keptBlocks,
    resume: progress?.state ?? null,
    checkpoint: {
      everySteps: training.everySteps,
      save: (state) => training.save(stage, { before, state }),
    },
    pause: stage === 'train' ? pauseOf(run, { model, steps: plan.batches.length }) : undefined,
    onStep: (report) => environment.observer({ type: 'step', stage, ...report }),
    signal: environment.signal,
  });
  return { result, before, after: await validate(result.adapter) };
}
