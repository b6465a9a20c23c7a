import { runTrainStage } from '../stages/train.js';
import type { JobRun } from './job-run.js';
import type { TrainingPlan } from './job.js';
import type { CorrectionOutcome, RefinementOutcome } from './stage-outcomes.js';

/** Trains the corrected adapter on the original, and says where the result is not kept. */
export async function refine(
  run: JobRun,
  { plan, correction }: { plan: TrainingPlan; correction: CorrectionOutcome },
): Promise<RefinementOutcome> {
  const {
    result: { adapter, steps },
    after: { loss },
  } = await runTrainStage(run, {
    stage: 'refine',
    source: run.job.model.source,
    adapter: correction.adapter,
    plan,
    evaluateBefore: false,
  });
  const before = lossBeforeRefinement(correction);
  const kept = isRefinementKept(before, loss);
  if (!kept) run.environment.observer({ type: 'notice', message: refinementNotice(before, loss) });
  return { adapter, loss, steps, kept };
}

/** Validation loss of the adapter that refinement starts from. */
function lossBeforeRefinement({
  scores,
  chosen,
}: Pick<CorrectionOutcome, 'scores' | 'chosen'>): number {
  return scores[chosen] ?? Number.POSITIVE_INFINITY;
}

/** Whether the refined adapter is the result, by the validation losses before and after. */
export function isRefinementKept(before: number, after: number): boolean {
  return after <= before;
}

/** What is said where it is not. */
export function refinementNotice(before: number, after: number): string {
  return `refinement raised the validation loss from ${before.toFixed(4)} to ${after.toFixed(4)}: the adapter before it is kept`;
}
