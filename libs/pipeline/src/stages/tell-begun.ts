import type { JobRun } from '../job/job-run.js';
import type { StageProgress } from '../job/training-store.js';
import { levelOf } from './training-steps.js';

/**
 * Tells where a run begins or goes on, and what is known of it already.
 * @param ends by level: the steps up to its end
 */
export function tellBegun(
  { environment }: JobRun,
  stage: 'train' | 'refine',
  { progress, ends }: { progress: StageProgress | null; ends: readonly number[] },
): void {
  const step = progress?.state.step ?? 0;
  const start = progress?.before ? [{ step: 0 }] : [];
  const validated = (progress?.validations?.curve ?? start).map((point) => point.step);
  const level = levelOf(ends, step) + 1;
  environment.observer({ type: 'begun', stage, step, level, validated });
}
