import type { PagedModel, TrainingPause } from '@emloc/finetune';

import type { JobRun } from '../job/job-run.js';
import type { StageName } from '../job/observer.js';
import type { LevelPager } from './level-pager.js';
import type { StageValidator } from './stage-validator.js';
import type { Validations } from './validations.js';

interface PausedStage {
  readonly stage: Extract<StageName, 'train' | 'refine'>;
  readonly validator: StageValidator;
}

/** Samples are of the model that is trained, as it is. A rehearsal has one. */
export function samplingPause(
  { job, environment }: JobRun,
  { stage, validator, model }: PausedStage & { readonly model: PagedModel },
): TrainingPause {
  const { sampler } = job;
  const everySteps = sampler?.everySteps ?? null;
  const isAsked = stage === 'train' && sampler !== null && everySteps !== null;
  return {
    isDue: (step) => isAsked && (validator.isReal ? step % everySteps === 0 : step === 1),
    run: async (step, adapter) => {
      await sampler?.make(step, { model, adapter });
      environment.onPart?.('train', 'sample');
    },
  };
}

interface ValidatedPause extends PausedStage {
  readonly validations: Validations;
  /** Steps in all at the end of each level. */
  readonly ends: readonly number[];
}

/** Between the start and the end, which are validated in any case. A rehearsal has one. */
export function validatingPause(
  { job, environment }: JobRun,
  { stage, validator, validations, ends, steps }: ValidatedPause & { readonly steps: number },
): TrainingPause {
  const everySteps = job.options.evalSteps ?? Number.POSITIVE_INFINITY;
  const isPlanned = (step: number): boolean =>
    step % everySteps === 0 && step < steps && !ends.includes(step);
  return {
    isDue: (step) =>
      validator.isReal
        ? isPlanned(step) && !validations.has(step)
        : job.options.evalSteps !== null && step === 1,
    run: async (step, adapter) => {
      await validator.add(validations, step, adapter);
      environment.onPart?.(stage, 'validation');
    },
  };
}

/** At the end of a level: its best state goes on, on the next level's model. */
export function changingPause(
  { environment }: JobRun,
  { stage, validator, validations, ends, pager }: ValidatedPause & { readonly pager: LevelPager },
): TrainingPause {
  return {
    isDue: (step) => ends.slice(0, -1).includes(step),
    run: async (step, adapter) => {
      const level = ends.indexOf(step) + 1;
      if (!validations.has(step)) await validator.add(validations, step, adapter);
      const { best } = validations;
      await pager.change(level);
      adapter.replace(best.adapter);
      const there = await validator.validate(best.adapter, step);
      validations.restart(there);
      validator.notice(
        `${stage}: level ${level + 1} of ${ends.length} after step ${step}, validation loss ${there.loss.toFixed(4)}`,
      );
      environment.onPart?.(stage, 'change');
    },
  };
}
