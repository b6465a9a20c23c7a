import { runTrainStage } from '../stages/train.js';
import { lastLevelStart } from './carried-optimizer.js';
import type { JobRun } from './job-run.js';
import type { TrainingPlan } from './job.js';
import type { CorrectionOutcome, RefinementOutcome, TunedOutcome } from './stage-outcomes.js';
import { trainedOriginal } from './storage.js';
import type { TrainingCourse } from './training-course.js';

/** Trains the corrected adapter on the original, and says where the result is not kept. */
export async function refine(
  run: JobRun,
  {
    plan,
    correction,
    tuned,
  }: { plan: TrainingPlan; correction: CorrectionOutcome; tuned: TunedOutcome },
): Promise<RefinementOutcome> {
  const {
    adapter,
    steps,
    course,
    after: { loss },
  } = await runTrainStage(run, {
    stage: 'refine',
    levels: [{ source: trainedOriginal(run.job), emulated: [], steps: plan.batches.length }],
    ...lastLevelStart(correction.adapter, tuned),
    plan,
    evaluateBefore: false,
  });
  const before = lossBeforeRefinement(correction);
  const notice = refinementNotice(before, loss, course);
  if (notice !== null) run.environment.observer({ type: 'notice', message: notice });
  return { adapter, loss, steps, kept: isRefinementKept(before, loss, course), course };
}

/** Validation loss of the adapter that refinement starts from. */
function lossBeforeRefinement({
  scores,
  chosen,
}: Pick<CorrectionOutcome, 'scores' | 'chosen'>): number {
  return scores[chosen] ?? Number.POSITIVE_INFINITY;
}

/**
 * Whether the refined adapter is the result: by the validation losses before and after; not one of
 * a run that diverged, unless it was validated on the way.
 */
export function isRefinementKept(
  before: number,
  after: number,
  { curve, chosenStep, divergence }: TrainingCourse,
): boolean {
  return after <= before && (curve ? chosenStep > 0 : divergence === null);
}

/** What is said where it is not, or where it diverged; null: nothing. */
export function refinementNotice(
  before: number,
  after: number,
  course: TrainingCourse,
): string | null {
  const isKept = isRefinementKept(before, after, course);
  const { curve, chosenStep, divergence } = course;
  const kept = isKept
    ? `its best state, after step ${chosenStep}, is kept`
    : 'the adapter before it is kept';
  if (divergence !== null) return `refinement diverged (${divergence}): ${kept}`;
  if (isKept) return null;
  return curve
    ? `refinement never lowered the validation loss of ${before.toFixed(4)}: ${kept}`
    : `refinement raised the validation loss from ${before.toFixed(4)} to ${after.toFixed(4)}: ${kept}`;
}
